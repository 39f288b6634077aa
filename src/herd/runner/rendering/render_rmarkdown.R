# Make one page of an R Markdown document: Rscript render_rmarkdown.R DOCUMENT PAGE FOLDER PARAMETERS
#
# Run by the workload's own R. Parameters of the run that the document has under `params:` take the place of its own;
# all of them are in HERD_PARAM_… too.
arguments <- commandArgs(trailingOnly = TRUE)
document <- arguments[[1]]

missing <- Filter(function(name) !requireNamespace(name, quietly = TRUE), c("rmarkdown", "jsonlite"))
if (length(missing) > 0) {
  message(document, ": an R Markdown document needs the package ", paste(missing, collapse = " and "),
          " in the renv.lock of its image")
  quit(status = 1)
}
if (!rmarkdown::pandoc_available()) {
  message(document, ": an R Markdown document needs pandoc in its image: apt = [\"pandoc\"] in image.toml")
  quit(status = 1)
}
params <- jsonlite::fromJSON(arguments[[4]], simplifyVector = FALSE)
known <- names(rmarkdown::yaml_front_matter(document)$params)
params <- params[intersect(names(params), known)]
# The working directory is the run's, also for chunks: inputs/ and outputs/ are where they always are.
rmarkdown::render(document, output_file = arguments[[2]], output_dir = arguments[[3]], params = params,
                  knit_root_dir = getwd(), intermediates_dir = tempfile("render-"), envir = new.env(parent = globalenv()),
                  quiet = TRUE)
