"""The five stages of the pipeline, one script each: prepare → train → register → evaluate → promote."""
