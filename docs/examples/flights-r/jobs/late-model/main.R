# Trains one model, named in HERD_ITEM, and judges it on weeks that come after those it learnt from.
# Writes model.rds, serving.json (what the API needs to know of the data) and metrics.json.

library(dplyr, warn.conflicts = FALSE)
library(readr)

inputs <- file.path(Sys.getenv("HERD_INPUTS"), "load-flights")
outputs <- Sys.getenv("HERD_OUTPUTS")
item <- Sys.getenv("HERD_ITEM")
test_weeks <- as.integer(Sys.getenv("HERD_PARAM_TEST_WEEKS"))
weeks <- as.integer(Sys.getenv("HERD_PARAM_TRAIN_WEEKS")) + test_weeks

# The newest weeks only: what delayed flights a year ago says little about tomorrow.
read_weeks <- function(name) {
  files <- tail(sort(list.files(file.path(inputs, name), full.names = TRUE)), weeks)
  read_csv(files, show_col_types = FALSE, id = "week")
}
weather <- read_weeks("weather") |> select(-week)
flights <- read_weeks("flights") |>
  filter(!is.na(departure_delay)) |>
  left_join(weather, by = c("origin", "time_hour"), relationship = "many-to-one")

newest <- tail(sort(unique(flights$week)), test_weeks)
train <- filter(flights, !week %in% newest)
test <- filter(flights, week %in% newest)

carriers <- sort(unique(train$carrier))
typical_weather <- lapply(weather[weather_columns], median, na.rm = TRUE)
rows <- \(flights) features(flights, carriers, typical_weather)
is_late <- \(flights) flights$departure_delay > late_minutes

fit_logistic <- function(rows, late) {
  model <- glm(
    late ~ carrier + origin + weekday + splines::ns(minutes_of_day, 4) + log(distance_km) + temperature_c + wind_kmh +
      rain_mm + visibility_km,
    family = binomial(), data = rows, model = FALSE, x = FALSE, y = FALSE
  )
  # What is not needed to predict is as large as the data.
  model[c("data", "fitted.values", "residuals", "weights", "prior.weights", "linear.predictors", "effects")] <- NULL
  model$qr$qr <- NULL
  environment(model$terms) <- environment(model$formula) <- globalenv()
  model
}

fit_forest <- function(rows, late) {
  ranger::ranger(
    x = rows, y = factor(if_else(late, "late", "on time")), probability = TRUE,
    num.trees = 150, min.node.size = 40, sample.fraction = 0.4, respect.unordered.factors = "order",
    seed = 13, num.threads = 1
  )
}

fit <- switch(item, logistic = fit_logistic, forest = fit_forest, stop("no such model: ", item))
model <- fit(rows(train), is_late(train))

seen <- filter(test, carrier %in% carriers)
late <- is_late(seen)
probability <- late_probability(model, rows(seen))

# The share of pairs of a late and a punctual flight in which the late one was given the higher probability.
auc <- function(late, probability) {
  late_ones <- as.numeric(sum(late))
  (sum(rank(probability)[late]) - late_ones * (late_ones + 1) / 2) / (late_ones * sum(!late))
}
log_loss <- function(late, probability) {
  p <- pmin(pmax(probability, 1e-6), 1 - 1e-6)
  -mean(if_else(late, log(p), log(1 - p)))
}
period <- function(flights) {
  days <- as.Date(flights$time_hour, tz = "America/New_York")
  list(from = format(min(days)), to = format(max(days)), flights = nrow(flights))
}
calibration <- tibble(late, probability, group = ntile(probability, 10)) |>
  summarise(predicted = mean(probability), happened = mean(late), .by = group) |>
  arrange(group)

write_json <- \(value, file) jsonlite::write_json(value, file.path(outputs, file), auto_unbox = TRUE, digits = 4)
metrics <- list(
  candidate = item,
  auc = auc(late, probability), log_loss = log_loss(late, probability), late_share = mean(late),
  trained_on = period(train), tested_on = period(seen), calibration = calibration
)
write_json(metrics, "metrics.json")
write_json(
  list(
    carriers = carriers, typical_weather = typical_weather,
    routes = distinct(train, origin, dest, .keep_all = TRUE) |> select(origin, dest, distance_km)
  ),
  "serving.json"
)
saveRDS(model, file.path(outputs, "model.rds"))
cat(sprintf("%s: AUC %.3f on %d flights after %s\n", item, metrics$auc, nrow(seen), metrics$trained_on$to))
