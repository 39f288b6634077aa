# What a model is told about a flight. Training (jobs/late-model) and serving (apis/late-api) both use this file, so
# that a column never means one thing in the model and another in the API.

# A departure is late when it leaves more than this many minutes after its scheduled time.
late_minutes <- 15

weather_columns <- c("temperature_c", "wind_kmh", "rain_mm", "visibility_km")

# flights: time_hour, minute, carrier, origin, distance_km and the weather columns; one row a flight, in the same order.
features <- function(flights, carriers, typical_weather) {
  local <- as.POSIXlt(flights$time_hour, tz = "America/New_York")
  known <- data.frame(
    carrier = factor(flights$carrier, levels = carriers),
    origin = factor(flights$origin, levels = c("EWR", "JFK", "LGA")),
    weekday = factor(local$wday, levels = 0:6),
    minutes_of_day = local$hour * 60 + flights$minute,
    distance_km = flights$distance_km
  )
  for (column in weather_columns) {
    measured <- flights[[column]]
    known[[column]] <- ifelse(is.na(measured), typical_weather[[column]], measured)
  }
  known
}

# The probability of being late, for rows that `features` made.
late_probability <- function(model, rows) {
  if (inherits(model, "ranger")) {
    predict(model, rows, num.threads = 1)$predictions[, "late"]
  } else {
    unname(predict(model, rows, type = "response"))
  }
}
