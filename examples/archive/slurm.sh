#!/bin/bash
# A share of an archive as a task of a Slurm array; docs/archives.md has it all.
# usage: sbatch --array=0-99 slurm.sh LIST RESULTS 100    the number of shares comes last: one a task, from 0 on
#SBATCH --job-name=tandem
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --requeue
set -euo pipefail
exec tandem analyze --files-from "$1" --shard "$SLURM_ARRAY_TASK_ID/$3" --out-dir "$2" --format parquet \
	--skip-done --continue-on-error --threads "${SLURM_CPUS_PER_TASK:-1}"
