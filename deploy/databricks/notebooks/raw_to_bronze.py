# Databricks notebook source
# MAGIC %md
# MAGIC # raw_to_bronze
# MAGIC Bytes become typed rows, and rejected rows with a reason.
# MAGIC Needs the wheel `crypto_pipeline_stages` on the cluster or in the notebook's environment;
# MAGIC the widgets above say what it wants to know.

# COMMAND ----------

from crypto_pipeline.databricks.notebook import run_layer

display(run_layer("bronze", spark=spark, widgets=dbutils.widgets))
