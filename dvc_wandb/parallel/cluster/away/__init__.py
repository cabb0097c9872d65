"""Stages on machines that share no folder with the head: a clone for each, the DVC remote between.

head   inputs.py     pushes what a stage reads and isn't in the remote yet, and puts the work tree into the job's folder
node   clone.py      makes a clone of it, with a cache that outlasts it
node   stage_run.py  pulls, has DVC run the stage, pushes, and puts what the remote doesn't take into the job's folder
head   merge.py      writes the entry into dvc.lock and the uncached outputs beside it, and pulls the others

DVC's run cache is no way back: it lacks uncached metrics, and never restores persisted outputs, plain uncached ones,
or stages without deps or outs. project_remote.py is where the remote is; contents.py and archive.py
are how files travel.
"""
