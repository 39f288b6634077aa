# What the model is told about a flight. `herd test late-model` runs these in the image of the job.

typical <- list(temperature_c = 8, wind_kmh = 15, rain_mm = 0, visibility_km = 16)
flight <- data.frame(
  time_hour = as.POSIXct("2013-03-15 17:00", tz = "America/New_York"), minute = 45, carrier = "B6", origin = "JFK",
  distance_km = 3974, temperature_c = NA, wind_kmh = 20, rain_mm = 0, visibility_km = 16
)

test_that("the time is New York's", {
  row <- features(flight, c("B6", "UA"), typical)
  expect_equal(as.character(row$weekday), "5")
  expect_equal(row$minutes_of_day, 17 * 60 + 45)
})

test_that("weather that nobody measured is the usual one, and what was measured stays", {
  row <- features(flight, c("B6", "UA"), typical)
  expect_equal(row$temperature_c, 8)
  expect_equal(row$wind_kmh, 20)
})

test_that("a carrier that the model does not know is no carrier", {
  expect_true(is.na(features(flight, "UA", typical)$carrier))
})
