#* @apiTitle Late from New York
#* @apiDescription The probability that a departure leaves more than a quarter of an hour late.
#* @apiVersion 1

library(jsonlite)

published <- file.path(Sys.getenv("HERD_INPUTS"), "best-model")
loaded <- list(from = "")

# The published model: loaded when first needed, and again when the folder, a link, leads to a newer one.
current <- function() {
  from <- normalizePath(published, mustWork = FALSE)
  if (!file.exists(file.path(from, "model.rds"))) refuse(503, "no model has been published yet: run best-model first")
  if (loaded$from != from) {
    loaded <<- list(
      from = from, model = readRDS(file.path(from, "model.rds")),
      metrics = read_json(file.path(from, "metrics.json"), simplifyVector = TRUE),
      serving = read_json(file.path(from, "serving.json"), simplifyVector = TRUE)
    )
  }
  loaded
}

refuse <- function(status, message) {
  stop(structure(class = c("refused", "error", "condition"), list(message = message, status = status, call = NULL)))
}

#* @plumber
function(pr) {
  plumber::pr_set_error(pr, function(req, res, error) {
    if (!inherits(error, "refused")) message("error: ", conditionMessage(error))
    res$status <- if (inherits(error, "refused")) error$status else 500
    list(detail = unbox(if (inherits(error, "refused")) conditionMessage(error) else "internal error"))
  })
}

#* The process is up. Whether there is a model to serve is another question: see /model.
#* @get /health
#* @serializer unboxedJSON
function() list(status = "ok")

#* Which model answers, how it was trained, and how good it is.
#* @get /model
#* @serializer unboxedJSON
function() current()$metrics[c("run_id", "candidate", "auc", "log_loss", "trained_on", "tested_on")]

#* One flight, for example /predict?origin=JFK&dest=LAX&carrier=B6&scheduled=2013-03-15T17:45
#* @param origin EWR, JFK or LGA
#* @param dest IATA code of the destination
#* @param carrier IATA code of the airline
#* @param scheduled local departure time
#* @get /predict
#* @serializer unboxedJSON
function(origin = "", dest = "", carrier = "", scheduled = "") {
  now <- current()
  time <- as.POSIXct(scheduled, format = "%Y-%m-%dT%H:%M", tz = "America/New_York")
  routes <- now$serving$routes
  route <- routes[routes$origin == origin & routes$dest == dest, ]
  if (is.na(time)) refuse(422, "scheduled: must be a time like 2013-03-15T17:45")
  if (!carrier %in% now$serving$carriers) refuse(422, "carrier: the model has never seen a flight of it")
  if (nrow(route) == 0) refuse(422, "origin, dest: the model has never seen such a flight")

  flight <- data.frame(
    time_hour = time, minute = as.POSIXlt(time)$min, carrier, origin,
    distance_km = route$distance_km[1], now$serving$typical_weather
  )
  rows <- features(flight, now$serving$carriers, now$serving$typical_weather)
  list(
    late_probability = round(late_probability(now$model, rows), 4),
    usual = now$metrics$late_share,
    model = paste(now$metrics$candidate, "of run", now$metrics$run_id)
  )
}
