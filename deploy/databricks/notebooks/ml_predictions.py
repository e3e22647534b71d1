# Databricks notebook source
# MAGIC %md
# MAGIC # ml_predictions
# MAGIC The model is fitted when it is due, then every forecast is made.
# MAGIC Needs the wheel `crypto_pipeline_stages` on the cluster or in the notebook's environment;
# MAGIC the widgets above say what it wants to know.

# COMMAND ----------

from crypto_pipeline.databricks.notebook import run_layer

display(run_layer("predictions", spark=spark, widgets=dbutils.widgets))
