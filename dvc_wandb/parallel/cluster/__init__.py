"""Runs stages as jobs of a cluster: SLURM, or Dask.

cluster_jobs.py is the engine, on the head. slurm.py and dask_workers.py know their cluster, engine.py says what they
have in common. node.py is the process of a job: it runs the stage under a guard, as the head would. exchange.py and
job_folder.py are what head and node tell each other by. workspaces.py is where a stage works: in a folder that the
nodes share, or in a clone (away/). left_jobs.py finds the jobs of an earlier head. dask_client.py and dask_task.py run
in processes of their own, beside the head and on a worker.
"""
