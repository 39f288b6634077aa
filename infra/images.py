"""The system layer: the folders of images/ become container images, one for each workload, pinned by digest."""

from hardware import Hardware
from herd.infra.components import Images
from herd.project import Project


def images_of(project: Project, hardware: Hardware) -> Images:
    """A repository for each folder in use. An image is built as part of its workload, for the processor of the hardware
    that the workload names; `hardware` is here for builds of your own.
    """
    folders = {spec.image for spec in project.workloads}
    return Images(folders, project.images, project.context, project, project.adopted.repositories)
