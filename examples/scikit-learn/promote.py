"""Let a model that is good enough, and better than the one in production, take its place: production.json."""

from dvc_wandb import production, tracked_run

with tracked_run("promote") as run:
    least = run.params_in("params.yaml")["promote"]["min_accuracy"]
    receipt = production.read_facts(run.dep("registered.json"), "registered_model", "model_md5")
    accuracy = production.read_facts(run.dep("metrics.json"), "accuracy")["accuracy"]

    file, candidate = run.out("production.json"), receipt["model_md5"]
    record = production.read(file) if file.exists() else production.Record(receipt["registered_model"])
    before = record.metrics.get("accuracy", 0)
    if record.model_md5 != candidate and accuracy >= least and accuracy > before:
        why = f"accuracy {accuracy:.4f} ≥ {least}, and more than {before:.4f}"
        record = record.by_gate(candidate, run.md5("data"), {"accuracy": accuracy}, why)
    production.write(file, record)
    print(f"{candidate[:8]}: accuracy {accuracy:.4f}; {str(record.model_md5)[:8]} is in production")
