# Databricks notebook source
# MAGIC %md
# MAGIC # bronze_to_silver
# MAGIC Typed rows become facts, each once; the ledger of missing minutes.
# MAGIC Needs the wheel `crypto_pipeline_stages` on the cluster or in the notebook's environment;
# MAGIC the widgets above say what it wants to know.

# COMMAND ----------

from crypto_pipeline.databricks.notebook import run_layer

display(run_layer("silver", spark=spark, widgets=dbutils.widgets))
