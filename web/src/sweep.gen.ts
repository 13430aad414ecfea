// Generated from arkor_dev/contract by scripts/generate.py. Not edited by hand.

/** The fields of settings that all trials of a sweep share. */
export const FIXED: ReadonlySet<string> = new Set(["model", "datasetSplit", "evalSteps", "saveSteps", "method", "loggingSteps", "samples", "verdictMargin", "maxHarm", "saveTotalLimit", "seed", "dataSeed", "splitSeed", "reportTo", "pauseOnBattery", "dryRun", "cpus", "gpus", "memory", "workers", "gpuTypes"]);
