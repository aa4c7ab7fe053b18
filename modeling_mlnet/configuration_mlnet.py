"""Configuration of ML-Net."""

import difflib
from collections.abc import Iterable
from dataclasses import field, fields
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers.configuration_utils import PreTrainedConfig
from transformers.utils import logging

from .architecture_mlnet import MIN_SIZE, STRIDE

POOLINGS = ("same", "valid")
LOSSES = ("release", "paper", "mse", "kl", "kl_cc", "kl_cc_sim")

logger = logging.get_logger(__name__)

# Keys that transformers reads or writes and that are not dataclass fields: they bring no warning.
TRANSFORMERS_KEYS = frozenset(
    {
        "attn_implementation",
        "auto_map",
        "custom_pipelines",
        "experts_implementation",
        "model_type",
        "name_or_path",
        "num_labels",
        "output_attentions",
        "per_layer_config",
        "quantization_config",
        "tie_word_embeddings",
        "torch_dtype",
        "use_cache",  # written by the Trainer
    }
)


def nearest_name(key: object, valid: Iterable[str], cutoff: float = 0.0) -> str | None:
    """The valid name most like `key`, for error messages; `None` if none is as similar as `cutoff` (0..1)."""
    return next(iter(difflib.get_close_matches(str(key), sorted(valid), n=1, cutoff=cutoff)), None)


def refuse_misspelt(keys: Iterable[str], valid: Iterable[str], owner: str) -> list[str]:
    """Refuses keys that look like misspelt fields, and returns the other unknown keys.

    Args:
        keys: As they were given, or read from a file.
        valid: The names of the fields.
        owner: Name of the class in messages.

    Returns:
        The keys that are neither a field nor like one.

    Raises:
        ValueError: For a key that is like a field, naming that field.
    """
    valid = set(valid)
    unknown = [key for key in keys if key not in valid]
    for key in unknown:
        if nearest := nearest_name(key, valid, cutoff=0.75):
            raise ValueError(f"{owner} has no key {key!r}; the nearest valid key is {nearest!r}")
    return unknown


@strict
class MLNetConfig(PreTrainedConfig):
    """Architecture and loss of an ML-Net; the defaults are the network of the original release.

    Args:
        backbone: timm architecture name: any VGG, or any network that supports `features_only`.
        backbone_kwargs: Passed on to `timm.create_model`.
        drop_modules: Dotted names of backbone modules that are left out (replaced by the identity), for backbones
            of which only a part is pretrained.
        feature_levels: Levels that are concatenated. For a VGG, 1 to 5 name pool1, pool2, pool3, pool4 (stride 1)
            and the last convolution block; for other networks they are timm's `out_indices`. `None` means pool3,
            pool4 and conv5 for a VGG (paper, Sec. III) and the levels at strides 8, 16 and 32 otherwise.
        pooling: Where the 2x2 max pooling windows of a VGG start: `"same"` at row and column -1, as in the release;
            `"valid"` at 0, as in torchvision and timm, which is the right grid for timm's ImageNet weights.
        encoder_channels: Channels between the two encoding convolutions.
        dropout: Probability of dropping a feature before the encoding convolutions, in `[0, 1)`.
        prior_shape: Rows and columns of the learned prior.
        recordings: Kinds of recording whose ground truth the network predicts, each with its own last convolution,
            prior and blur: `["eye", "mouse"]` for eye trackers and for mouse tracking, as SALICON. The first is the
            default. Empty, as in the release: one kind, without a name.
        image_size: Height and width in pixels of the canvas used for training. The network takes any size from 32 px.
        loss: `"release"` (the released code), `"paper"` (Eq. 2), `"mse"` (squared error), `"kl"` (Kullback-Leibler
            divergence), `"kl_cc"` (the same minus half the correlation) or `"kl_cc_sim"` (minus half the similarity,
            too).
        loss_alpha: The alpha of the release's and the paper's loss, above 1.
        prior_penalty: Weight of the sum of the squared prior in the loss; `None` means 1 / (rows * columns).

    Raises:
        ValueError: For a key that looks like a misspelt field (with the nearest valid name) and for values out of
            range. Any other unknown key is kept with a warning, as newer versions of transformers add keys.
    """

    model_type = "mlnet"
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["prior", "hidden_states"]

    backbone: str = "vgg16"
    backbone_kwargs: dict = field(default_factory=dict)
    drop_modules: list[str] | tuple[str, ...] = ()
    feature_levels: list[int] | tuple[int, ...] | None = None
    pooling: str = "same"
    encoder_channels: int = 64
    dropout: float | int = 0.5
    prior_shape: list[int] | tuple[int, ...] = (6, 8)
    recordings: list[str] | tuple[str, ...] = ()
    image_size: list[int] | tuple[int, ...] = (480, 640)
    loss: str = "release"
    loss_alpha: float | int = 1.1
    prior_penalty: float | int | None = None

    def __post_init__(self, **kwargs):
        for key in self.refuse_misspelt_fields(kwargs):
            logger.warning_once(f"MLNetConfig: the key {key!r} is unknown to this version and has no effect")
        if not __name__.startswith("transformers_modules"):
            # For users without the package. With it, `pipeline()` would ask for trust in code that is installed.
            kwargs.pop("custom_pipelines", None)
        super().__post_init__(**kwargs)
        self.validate_architecture()  # here too, for a plain ValueError: the strict dataclass raises its own type

    @classmethod
    def refuse_misspelt_fields(cls, keys: Iterable[str]) -> list[str]:
        """As the function `refuse_misspelt`, for the fields of this class, without the keys of transformers."""
        own_keys = [key for key in keys if key not in TRANSFORMERS_KEYS and not key.startswith("_")]
        return refuse_misspelt(own_keys, (field.name for field in fields(cls)), "MLNetConfig")

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """As in transformers; overrides of a loaded configuration are checked like those of a new one."""
        cls.refuse_misspelt_fields(kwargs)  # what is not like a field is an argument of the loading itself
        result = super().from_dict(config_dict, **kwargs)
        (result[0] if isinstance(result, tuple) else result).validate_architecture()
        return result

    def validate_architecture(self):
        """Checks that hold between and within the fields; transformers runs it after init and before saving."""
        choices = {"pooling": POOLINGS, "loss": LOSSES}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {list(allowed)}, got {getattr(self, name)!r}")
        for name, least in {"prior_shape": 1, "image_size": MIN_SIZE}.items():
            value = tuple(getattr(self, name))
            if len(value) != 2 or min(value) < least:
                raise ValueError(f"{name} must be two integers of at least {least} (rows, columns), got {value}")
        if any(side % STRIDE for side in self.image_size):
            raise ValueError(f"image_size must be two multiples of {STRIDE}, got {tuple(self.image_size)}")
        if self.feature_levels is not None:
            levels = tuple(self.feature_levels)
            if not levels or min(levels) < 0 or list(levels) != sorted(set(levels)):
                raise ValueError(f"feature_levels must be ascending, distinct and not negative, got {levels}")
        if len(set(self.recordings)) < len(self.recordings):
            raise ValueError(f"recordings must be distinct names, got {list(self.recordings)}")
        if self.encoder_channels < 1:
            raise ValueError(f"encoder_channels must be at least 1, got {self.encoder_channels}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.loss_alpha <= 1:
            raise ValueError(f"loss_alpha must be above 1 (labels reach 1), got {self.loss_alpha}")
        if self.prior_penalty is not None and self.prior_penalty < 0:
            raise ValueError(f"prior_penalty must be None or not negative, got {self.prior_penalty}")


__all__ = ["MLNetConfig"]
