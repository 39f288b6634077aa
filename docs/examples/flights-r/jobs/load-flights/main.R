# Adds the next week of 2013 to what the last run left: flights/ and weather/ have one file a week, named by its first
# day. When the year is over the next run starts again, and says so: real data would simply go on.

library(dplyr, warn.conflicts = FALSE)
library(readr)

inputs <- file.path(Sys.getenv("HERD_INPUTS"), "load-flights")
outputs <- Sys.getenv("HERD_OUTPUTS")
first_weeks <- as.integer(Sys.getenv("HERD_PARAM_FIRST_WEEKS"))

# The year has 52 weeks, from 0; its last day belongs to the last one.
week_of <- function(time) pmin(as.POSIXlt(time, tz = "America/New_York")$yday %/% 7, 51)
first_day <- function(week) as.Date("2013-01-01") + 7 * week

known <- length(list.files(file.path(inputs, "flights")))
started_again <- known >= 52
if (known == 0 || started_again) {
  weeks <- seq_len(first_weeks) - 1
} else {
  weeks <- known
  file.copy(file.path(inputs, c("flights", "weather")), outputs, recursive = TRUE)
}
if (started_again) message("All 52 weeks had been loaded: starting again with the first ", first_weeks, ".")

flights <- nycflights13::flights |>
  transmute(
    time_hour, minute, carrier, flight, origin, dest,
    distance_km = round(distance * 1.609344),
    departure_delay = dep_delay # minutes; missing when the flight was cancelled
  ) |>
  filter(week_of(time_hour) %in% weeks) |>
  arrange(time_hour, minute)

weather <- nycflights13::weather |>
  transmute(
    origin, time_hour,
    temperature_c = round((temp - 32) / 1.8, 1),
    # One hour in February claims a wind of 1,048 mph, four times the strongest gust ever measured.
    wind_kmh = round(if_else(wind_speed < 200, wind_speed, NA) * 1.609344, 1),
    rain_mm = round(precip * 25.4, 1),
    visibility_km = round(visib * 1.609344, 1)
  ) |>
  filter(week_of(time_hour) %in% weeks) |>
  distinct(origin, time_hour, .keep_all = TRUE) # when the clocks go back an hour comes twice

stopifnot(
  "there are flights and weather" = nrow(flights) > 0 && nrow(weather) > 0,
  "flights leave from New York" = all(flights$origin %in% c("EWR", "JFK", "LGA")),
  "every flight has a carrier and a destination" = !anyNA(flights$carrier) && !anyNA(flights$dest),
  "delays are between two hours early and two days late" =
    all(between(flights$departure_delay, -120, 2880), na.rm = TRUE),
  "temperatures are possible" = all(between(weather$temperature_c, -40, 50), na.rm = TRUE)
)

for (name in c("flights", "weather")) dir.create(file.path(outputs, name), showWarnings = FALSE)
for (week in weeks) {
  of_week <- \(table) filter(table, week_of(time_hour) == week)
  file <- paste0(first_day(week), ".csv")
  write_csv(of_week(flights), file.path(outputs, "flights", file))
  write_csv(of_week(weather), file.path(outputs, "weather", file))
  cat("week of", format(first_day(week)), nrow(of_week(flights)), "flights\n")
}
write_csv(nycflights13::airlines, file.path(outputs, "airlines.csv"))

last <- of_week(flights)
summary <- list(
  weeks = max(weeks) + 1,
  to = format(max(as.Date(last$time_hour, tz = "America/New_York"))),
  started_again = started_again,
  last_week = list(
    flights = nrow(last),
    cancelled = sum(is.na(last$departure_delay)),
    share_without_weather = round(nrow(anti_join(last, weather, by = c("origin", "time_hour"))) / nrow(last), 4)
  )
)
jsonlite::write_json(summary, file.path(outputs, "summary.json"), auto_unbox = TRUE, pretty = TRUE)
