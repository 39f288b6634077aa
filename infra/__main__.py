"""The environment, layer by layer. This program is yours: change it, and `pulumi preview` shows what would change."""

from hardware import Hardware
from herd.project import Project
from images import images_of
from outputs import outputs_of

project = Project.here()  # the settings of the stack and the folders of the team, checked before anything is made
hardware = Hardware(project)  # network, cluster, load balancers
images = images_of(project, hardware)  # the system layer: a repository for each folder of images/, and what is built
outputs = outputs_of(project, hardware, images)  # buckets, jobs, reports, APIs

# Resources of your own go here. Everything above has typed attributes: `hardware.network.vpc_id`,
# `outputs.jobs["train"].task_role`, `project.context.tags()`; `parent=project` puts them below the environment.

project.export(outputs.site, outputs.workloads, outputs.pipelines)
