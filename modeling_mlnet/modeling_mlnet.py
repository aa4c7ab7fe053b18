"""ML-Net: a deep multi-level network for saliency prediction (Cornia et al., ICPR 2016)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .architecture_mlnet import MIN_SIZE, STRIDE, recording_index
from .backbones_mlnet import MLNetTimmBackbone, MLNetVGGBackbone, create_timm_model
from .configuration_mlnet import MLNetConfig
from .layers_mlnet import MLNetEncoder, MLNetPrior, MLNetSpread
from .losses_mlnet import LOSS_FUNCTIONS


@dataclass
class MLNetOutput(ModelOutput):
    """Output of `MLNetModel`.

    Args:
        loss (`torch.FloatTensor` of shape `()`, *optional*, returned when `labels` is provided):
            Data loss plus the penalty on the prior.
        saliency_map (`torch.FloatTensor` of shape `(batch, height/8, width/8)`):
            Predicted saliency, at least 0, not normalised.
        prior (`torch.FloatTensor` of shape `(height/8, width/8)`, *optional*, absent with `apply_prior=False`):
            The factor that multiplied the map: 1 + the enlarged learned prior. `(batch, height/8, width/8)` if the
            kinds of recording were given as a tensor.
        hidden_states (`tuple(torch.FloatTensor)`, *optional*, returned when `output_hidden_states=True`):
            The levels, each of shape `(batch, channels, height/8, width/8)`, in the order of their concatenation.
    """

    loss: Tensor | None = None
    saliency_map: Tensor | None = None
    prior: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class MLNetPreTrainedModel(PreTrainedModel):
    """Weight initialisation and what transformers needs to know about the model."""

    config_class = MLNetConfig
    base_model_prefix = "mlnet"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # the loss is a mean over the batch, not over `num_items_in_batch`
    _no_split_modules = ["MLNetStage"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, MLNetTimmBackbone):
            module.initialize()
        elif isinstance(module, MLNetEncoder):
            # Glorot-normal like the release, but the last convolution without its signs: with them, about every
            # second start is a map that is 0 everywhere behind its ReLU and can never be trained.
            init.xavier_normal_(module.conv.weight)
            init.copy_(module.out.weight, nn.init.xavier_normal_(torch.empty_like(module.out.weight)).abs())
            init.zeros_(module.conv.bias)
            init.zeros_(module.out.bias)
        elif isinstance(module, (MLNetPrior, MLNetSpread)):
            init.zeros_(module.weight)
        elif isinstance(module, MLNetVGGBackbone):
            for layer in module.modules():
                if isinstance(layer, nn.Conv2d):
                    init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                    init.zeros_(layer.bias)
                elif isinstance(layer, nn.BatchNorm2d):
                    super()._init_weights(layer)

    def _initialize_weights(self, module: nn.Module, is_custom_code: bool = False) -> None:
        # The blocks above fill their children. transformers' own version walks children first, which would overwrite
        # timm's values, and takes a block without parameters of its own for filled.
        if not isinstance(module, (MLNetTimmBackbone, MLNetEncoder, MLNetSpread, MLNetPrior, MLNetVGGBackbone)):
            return
        tensors = [*module.parameters(), *module.buffers()]
        if not all(getattr(tensor, "_is_hf_initialized", False) for tensor in tensors):
            self._init_weights(module)


class MLNetModel(MLNetPreTrainedModel):
    """ML-Net: backbone levels at stride 8, an encoding network and a learned prior.

    Source: Cornia, Baraldi, Serra and Cucchiara, "A Deep Multi-Level Network for Saliency Prediction", ICPR 2016.
    With weights converted from the release it reproduces the release's maps.
    """

    def __init__(self, config: MLNetConfig):
        super().__init__(config)
        is_vgg = config.backbone.split(".")[0].startswith("vgg")
        if config.drop_modules and is_vgg:
            raise ValueError("drop_modules does not apply to a VGG, which is cut by feature_levels")
        self.backbone = (MLNetVGGBackbone if is_vgg else MLNetTimmBackbone)(config)
        self.encoder = MLNetEncoder(sum(self.backbone.channels), config)
        kinds = len(config.recordings)
        self.spread = MLNetSpread(kinds) if kinds else nn.Identity()
        self.prior = MLNetPrior((kinds, *config.prior_shape) if kinds else tuple(config.prior_shape))
        self.post_init()

    @classmethod
    def from_imagenet(cls, config: MLNetConfig, weights: str | PathLike | None = None) -> "MLNetModel":
        """Builds a model for training: ImageNet weights in the backbone, a fresh encoder and prior.

        Args:
            config: For timm's own VGG weights `pooling` should be `"valid"`.
            weights: A safetensors file in timm's key names; `None` downloads timm's default weights.

        Raises:
            ValueError: If the file lacks a parameter of the backbone or holds it in another shape.
        """
        model = cls(config)
        if weights is None:
            state_dict = create_timm_model(config.backbone, pretrained=True, **config.backbone_kwargs).state_dict()
        else:
            try:
                state_dict = load_file(weights)
            except Exception as error:  # safetensors raises its own, undocumented types
                raise ValueError(f"{weights} cannot be read as a safetensors file: {error}") from error
        model._load_backbone(state_dict, source=str(weights or config.backbone))
        return model

    @torch.no_grad()
    def _load_backbone(self, state_dict: dict[str, Tensor], source: str) -> None:
        # timm's features_only wrappers write stages_0 for stages.0
        given = {name.replace(".", "_"): tensor for name, tensor in state_dict.items()}
        for name, tensor in self.backbone.state_dict().items():
            timm_name = self.backbone.timm_name(name)
            value = given.get(timm_name.replace(".", "_"))
            if value is None and name.endswith("num_batches_tracked"):
                continue
            if value is None:
                raise ValueError(f"{source} has no tensor {timm_name!r}, which {self.config.backbone} needs")
            if value.shape != tensor.shape:
                raise ValueError(
                    f"{source} has {timm_name!r} in shape {tuple(value.shape)}, "
                    f"{self.config.backbone} needs {tuple(tensor.shape)}"
                )
            tensor.copy_(value)

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        apply_prior: bool = True,
        output_hidden_states: bool | None = None,
        recording: str | Tensor | None = None,
    ) -> MLNetOutput:
        """Predicts saliency maps.

        Args:
            pixel_values: Images `(batch, 3, height, width)` from `MLNetImageProcessor`, each side at least 32 px.
            labels: Saliency maps `(batch, height/8, width/8)` in 0..1; with them a loss is returned.
            apply_prior: `False` gives the map before the learned prior.
            output_hidden_states: Whether to return the levels.
            recording: The kind of recording whose ground truth is predicted: a name in `config.recordings`, or for
                each image of the batch its index there, `(batch,)`. `None` takes the first.

        Raises:
            ValueError: If a tensor has the wrong shape, or the model does not know the recording.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        levels = self.extract_levels(pixel_values)
        saliency_map, prior = self.map_from_levels(torch.cat(levels, dim=1), apply_prior, recording)
        return MLNetOutput(
            loss=None if labels is None else self._loss(saliency_map, labels),
            saliency_map=saliency_map,
            prior=prior,
            hidden_states=tuple(levels) if output_hidden_states else None,
        )

    def extract_levels(self, pixel_values: Tensor) -> list[Tensor]:
        """The backbone's levels on the grid of stride 8, each `(batch, channels, height/8, width/8)`.

        Raises:
            ValueError: If the tensor has the wrong shape.
        """
        if pixel_values.ndim != 4 or pixel_values.shape[1] != 3 or min(pixel_values.shape[-2:]) < MIN_SIZE:
            raise ValueError(
                f"pixel_values must be (batch, 3, height, width) with sides of at least {MIN_SIZE}, "
                f"got {tuple(pixel_values.shape)}"
            )
        height, width = (-(-side // STRIDE) for side in pixel_values.shape[-2:])
        return [to_grid(level, height, width) for level in self.backbone(pixel_values)]

    def map_from_levels(
        self, features: Tensor, apply_prior: bool = True, recording: str | Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The layers after the backbone: the saliency map `(batch, height/8, width/8)` and the prior's factor.

        Args:
            features: The concatenated levels `(batch, channels, height/8, width/8)`.
            apply_prior: `False` gives the map before the learned prior, and `None` for the factor.
            recording: As in `forward`.

        Raises:
            ValueError: If the model does not know the recording.
        """
        saliency_map = self.spread(self.encoder(features))
        if isinstance(recording, Tensor) and not self.config.recordings:
            raise ValueError("recording must be None: the model knows one kind only, got a tensor")
        index = recording if isinstance(recording, Tensor) else recording_index(self.config.recordings, recording)
        if self.config.recordings and isinstance(index, Tensor):  # shape[0], as torch.export makes a constant of len()
            saliency_map = saliency_map[torch.arange(saliency_map.shape[0], device=index.device), index]
        elif self.config.recordings:
            saliency_map = saliency_map[:, index]
        if not apply_prior:
            return saliency_map, None
        prior = self.prior(*features.shape[-2:], index)
        return F.relu(saliency_map * prior), prior

    @torch.no_grad()
    def set_recordings(self, recordings: Sequence[str]) -> None:
        """Makes a network of one kind of recording predict several, each as the one before until it is trained.

        Args:
            recordings: Names of the kinds; the first becomes the default.

        Raises:
            ValueError: If the network has several kinds already.
        """
        if self.config.recordings:
            raise ValueError(f"the model predicts {list(self.config.recordings)} already, got {list(recordings)}")
        config = MLNetConfig.from_dict({**self.config.to_dict(), "recordings": list(recordings)})
        encoder = MLNetEncoder(self.encoder.conv.in_channels, config)
        encoder.conv.load_state_dict(self.encoder.conv.state_dict())
        encoder.out.load_state_dict(
            {
                name: tensor.expand(len(recordings), *tensor.shape[1:])
                for name, tensor in self.encoder.out.state_dict().items()
            }
        )
        prior = MLNetPrior((len(recordings), *config.prior_shape))
        prior.weight.copy_(self.prior.weight)
        spread = MLNetSpread(len(recordings))
        spread.weight.fill_(-1.1)  # half a cell
        self.config.recordings = list(recordings)
        for name, module in {"encoder": encoder, "prior": prior, "spread": spread}.items():
            setattr(self, name, module.to(self.device, self.dtype).train(self.training))

    def _loss(self, saliency_map: Tensor, labels: Tensor) -> Tensor:
        if labels.shape != saliency_map.shape:
            raise ValueError(
                f"labels must have the map's shape {tuple(saliency_map.shape)}, got {tuple(labels.shape)}"
            )
        penalty = self.config.prior_penalty
        if penalty is None:
            penalty = 1 / math.prod(self.config.prior_shape)
        function = LOSS_FUNCTIONS[self.config.loss]
        data_loss = function(saliency_map.float(), labels.float(), self.config.loss_alpha)
        return data_loss + penalty * self.prior.weight.float().square().sum()


def to_grid(level: Tensor, height: int, width: int) -> Tensor:
    """Brings a level to the grid of stride 8: finer ones are averaged, coarser ones bilinearly enlarged."""
    if level.shape[-2:] == (height, width):
        return level
    if level.shape[-2] > height:
        return F.interpolate(level, size=(height, width), mode="area")
    return F.interpolate(level, size=(height, width), mode="bilinear", align_corners=False)


__all__ = ["MLNetModel", "MLNetOutput", "MLNetPreTrainedModel"]
