"""The five stages of the pipeline, each a script of its own: prepare → train → register → evaluate → promote."""
