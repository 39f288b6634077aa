# What R reads at its start in a workload: the profile of the person as ever, then the functions that `uses` names.
#
# Their files are evaluated in an environment below the global one, as `source` does it, so that they see packages that
# the program attaches later. They stand in the global environment, where no package hides them, and are attached as
# well, because many programs begin with `rm(list = ls())`.
local({
  own <- Sys.getenv("HERD_R_PROFILE", NA)
  Sys.unsetenv("HERD_R_PROFILE")
  if (is.na(own)) Sys.unsetenv("R_PROFILE_USER") else Sys.setenv(R_PROFILE_USER = own)
  own <- if (is.na(own)) c(".Rprofile", path.expand("~/.Rprofile")) else own
  own <- own[nzchar(own) & file.exists(own)]
  if (length(own) > 0) sys.source(own[[1]], globalenv())

  # R attaches its own packages, stats and utils among them, after this file only.
  .OptRequireMethods()
  .First.sys()

  lib <- Sys.getenv("HERD_LIB")
  files <- list.files(lib, pattern = "[.][Rr]$", recursive = TRUE)
  files <- sort(files[!grepl("(^|/)(tests|renv)/", files)], method = "radix")
  functions <- new.env(parent = globalenv())
  for (file in files) {
    tryCatch(
      sys.source(file.path(lib, file), functions),
      error = function(failed) stop("lib/", file, ": ", conditionMessage(failed), call. = FALSE)
    )
  }
  list2env(as.list(functions, all.names = TRUE), globalenv())
  attach(functions, name = "herd:lib", warn.conflicts = FALSE)
})
