"""Facts about each public data set, for the loaders, the check and the dataset card."""

from dataclasses import dataclass

ALL = "all"  # the key of `images` where a data set has no official splits


@dataclass(frozen=True)
class DataSet:
    """A public data set, as its authors describe it.

    Args:
        title: Its name.
        images: Official number of images of each split, or of `ALL`.
        size: Width and height in pixels where all images share them.
        observers: How many people looked at an image, in words.
        sigma: Standard deviation in pixels of the Gaussian that makes a density; `None` where it is not stated.
        sigma_source: Source of `sigma`.
        licence: Licence of the annotations, as the Hub abbreviates licences.
        photos: Under which terms the photographs stand.
        photos_are_free: Whether those terms let anybody redistribute them.
        source: Address of the authors' download.
        citation: BibTeX.
        without_truth: Splits whose fixations are not public.
        recording: How gaze was recorded, one of `RECORDINGS`: by an eye tracker, or as movements of the mouse.
    """

    title: str
    images: dict[str, int]
    size: tuple[int, int] | None = None
    observers: str = "not stated"
    sigma: float | None = None
    sigma_source: str = "not stated; 3 % of the longer side"
    licence: str = "unknown"
    photos: str = "not stated"
    photos_are_free: bool = False
    source: str = "not stated"
    citation: str = ""
    without_truth: tuple[str, ...] = ()
    recording: str = "eye"

    @property
    def splits(self) -> tuple[str, ...]:
        """The official splits; none if all images are one set."""
        return tuple(split for split in self.images if split != ALL)


CATALOG = {
    "salicon": DataSet(
        title="SALICON",
        images={"train": 10_000, "validation": 5_000, "test": 5_000},
        size=(640, 480),
        observers="about 60 per image (mouse movements)",
        sigma=19.0,
        sigma_source="the official evaluator",
        licence="cc-by-4.0",
        photos="Flickr photographs out of Microsoft COCO, each under its owner's terms",
        source="salicon.net",
        without_truth=("test",),
        recording="mouse",
        citation="""@inproceedings{jiang2015salicon,
  title = {{SALICON}: Saliency in Context},
  author = {Jiang, Ming and Huang, Shengsheng and Duan, Juanyong and Zhao, Qi},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2015}
}""",
    ),
    "mit1003": DataSet(
        title="MIT1003",
        images={ALL: 1_003},
        observers="15",
        sigma=35.0,
        sigma_source="about one degree of visual angle",
        source="people.csail.mit.edu/tjudd/WherePeopleLook",
        citation="""@inproceedings{judd2009learning,
  title = {Learning to predict where humans look},
  author = {Judd, Tilke and Ehinger, Krista and Durand, Fr{\\'e}do and Torralba, Antonio},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  year = {2009}
}""",
    ),
    "cat2000": DataSet(
        title="CAT2000 (training set)",
        images={ALL: 2_000},
        size=(1920, 1080),
        observers="18",
        sigma=45.0,
        sigma_source="the MIT benchmark's blur with a cut-off of 8 cycles per image, at 1920 px",
        source="saliency.mit.edu",
        citation="""@article{borji2015cat2000,
  title = {{CAT2000}: A Large Scale Fixation Dataset for Boosting Saliency Research},
  author = {Borji, Ali and Itti, Laurent},
  journal = {arXiv preprint arXiv:1505.03581},
  year = {2015}
}""",
    ),
    "osie": DataSet(
        title="OSIE",
        images={ALL: 700},
        size=(800, 600),
        observers="15",
        sigma=24.0,
        sigma_source="its authors, about one degree of visual angle",
        licence="mit",
        photos="released with the data set under the MIT licence",
        photos_are_free=True,
        source="github.com/NUS-VIP/predicting-human-gaze-beyond-pixels",
        citation="""@article{xu2014predicting,
  title = {Predicting human gaze beyond pixels},
  author = {Xu, Juan and Jiang, Ming and Wang, Shuo and Kankanhalli, Mohan S. and Zhao, Qi},
  journal = {Journal of Vision},
  volume = {14},
  number = {1},
  year = {2014}
}""",
    ),
    "toronto": DataSet(
        title="Toronto",
        images={ALL: 120},
        size=(681, 511),
        observers="20",
        source="www-sop.inria.fr/members/Neil.Bruce",
        citation="""@article{bruce2007attention,
  title = {Attention based on information maximization},
  author = {Bruce, Neil D. B. and Tsotsos, John K.},
  journal = {Journal of Vision},
  volume = {7},
  number = {9},
  year = {2007}
}""",
    ),
}
