# Installs the packages of a lock into a library: Rscript --vanilla install.R LOCK LIBRARY NAME=URL …
# The first repository is where renv itself comes from, where this R has none. What is locked decides its version.

arguments <- commandArgs(trailingOnly = TRUE)
lock <- arguments[[1]]
target <- arguments[[2]]
named <- strsplit(arguments[-(1:2)], "=", fixed = TRUE)
urls <- vapply(named, function(one) paste(one[-1], collapse = "="), "")
options(
  repos = setNames(urls, vapply(named, `[[`, "", 1)),
  Ncpus = max(1L, parallel::detectCores(), na.rm = TRUE),
  timeout = 600,
  warn = 1
)

dir.create(target, recursive = TRUE, showWarnings = FALSE)
.libPaths(c(target, .libPaths()))
if (!requireNamespace("renv", quietly = TRUE)) {
  spare <- tempfile("renv-")
  dir.create(spare)
  install.packages("renv", lib = spare, quiet = TRUE)
  .libPaths(c(.libPaths(), spare))
  if (!requireNamespace("renv", quietly = TRUE)) quit(status = 1)
}

renv::restore(lockfile = lock, library = target, prompt = FALSE)

# renv takes the newest of what is needed and not locked, which tomorrow is another one.
more <- setdiff(rownames(installed.packages(lib.loc = target)), c(names(renv::lockfile_read(lock)$Packages), "renv"))
if (length(more)) stop("packages are needed and not locked: ", paste(more, collapse = ", "), call. = FALSE)

# It says less when it is content with what it got.
locked <- renv::lockfile_read(lock)$Packages
installed <- installed.packages(lib.loc = c(target, .Library))
for (package in locked) {
  version <- installed[installed[, "Package"] == package$Package, "Version"]
  if (!package$Version %in% version) {
    stop("package '", package$Package, "' ", package$Version, " was not installed", call. = FALSE)
  }
}

# What comes from renv's cache was built elsewhere, perhaps where a library was that is not here.
for (package in locked) {
  tryCatch(invisible(loadNamespace(package$Package)), error = function(problem) {
    stop("package '", package$Package, "' cannot be loaded:\n", conditionMessage(problem), call. = FALSE)
  })
}
