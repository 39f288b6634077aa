# Picks the model with the higher AUC, and publishes it with what is known about all of them.

library(jsonlite)

candidates <- file.path(Sys.getenv("HERD_INPUTS"), "late-model")
outputs <- Sys.getenv("HERD_OUTPUTS")

metrics <- lapply(Sys.glob(file.path(candidates, "*", "metrics.json")), read_json)
metrics <- metrics[order(sapply(metrics, `[[`, "auc"), decreasing = TRUE)]
best <- metrics[[1]]

copied <- file.copy(file.path(candidates, best$candidate, c("model.rds", "serving.json")), outputs)
stopifnot("the model's files are there" = copied)

write_json(c(best, run_id = Sys.getenv("HERD_RUN_ID")), file.path(outputs, "metrics.json"), auto_unbox = TRUE, digits = 4)
compared <- lapply(metrics, `[`, c("candidate", "auc", "log_loss"))
write_json(compared, file.path(outputs, "candidates.json"), auto_unbox = TRUE, digits = 4)

for (each in metrics) cat(sprintf("%10s: AUC %.3f, log loss %.3f\n", each$candidate, each$auc, each$log_loss))
cat("published:", best$candidate, "\n")
