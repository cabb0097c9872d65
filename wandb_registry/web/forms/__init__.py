"""What the forms of pages change, by the rules of `model/`: of a run, of a version, of a registered model."""
