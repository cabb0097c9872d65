"""Runs stages as SLURM's jobs, in a folder that the nodes share.

slurm_jobs.py is the engine, on the head. commands.py is SLURM's own commands, job_folder.py what head and node tell
each other, node.py the process of a job: it runs the stage under a guard, as the head would. left_jobs.py finds the
jobs of an earlier head.
"""
