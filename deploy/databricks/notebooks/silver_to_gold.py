# Databricks notebook source
# MAGIC %md
# MAGIC # silver_to_gold
# MAGIC Facts become candles, volatility and the market now.
# MAGIC Needs the wheel `crypto_pipeline_stages` on the cluster or in the notebook's environment;
# MAGIC the widgets above say what it wants to know.

# COMMAND ----------

from crypto_pipeline.databricks.notebook import run_layer

display(run_layer("gold", spark=spark, widgets=dbutils.widgets))
