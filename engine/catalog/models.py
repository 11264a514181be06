"""Models: what is trained and pruned. All but `file` are built for the data and end in a linear layer `output`."""

from __future__ import annotations

import msgspec

from engine.catalog.entry import Entry, Param

ACTIVATIONS = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid")

_DROPOUT = Param(
    name="dropout", type="float", doc="share of activations dropped in training", default=0.0, low=0.0, high=0.95
)
_WIDTH = Param(
    name="width", type="float", doc="multiplies every layer's number of filters", default=1.0, low=0.01, high=4.0
)

ENTRIES = (
    Entry(
        kind="model",
        name="mlp",
        title="Multilayer perceptron",
        family="fully connected",
        summary="Dense layers of the sizes you give, with or without biases, batch normalisation and dropout.",
        formula="h <- activation(W h + b), layer by layer",
        when="Digits, tables, anything small.",
        words="an MLP with hidden layers {hidden}",
        params=(
            Param(name="hidden", type="ints", doc="units of each hidden layer", default=(300, 100), low=1, high=65_536),
            Param(name="activation", type="str", doc="of the hidden layers", default="relu", choices=ACTIVATIONS),
            Param(name="bias", type="bool", doc="biases in all layers", default=True),
            Param(name="batch_norm", type="bool", doc="batch normalisation before each activation", default=False),
            _DROPOUT,
        ),
    ),
    Entry(
        kind="model",
        name="lenet_300_100",
        title="LeNet-300-100",
        family="fully connected",
        summary="Two hidden layers of 300 and 100 ReLU units, where most papers begin: 266,610 parameters on MNIST.",
        source="LeCun et al. 1998; Frankle & Carbin 2019",
        when="To compare with published results on MNIST.",
        words="LeNet-300-100",
    ),
    Entry(
        kind="model",
        name="baseline_mlp",
        title="Baseline MLP 1000-1000-500-200",
        family="fully connected",
        summary="Four wide hidden ReLU layers without biases: the net of the weight-against-unit experiment.",
        source="the baseline experiment (methods: weight magnitude and unit norm)",
        when="For the baseline experiment on MNIST.",
        words="the baseline MLP (1000-1000-500-200, no biases)",
    ),
    Entry(
        kind="model",
        name="lenet5",
        title="LeNet-5 (Caffe)",
        family="convolutional",
        summary="Two 5x5 convolutions (20 and 50 filters), max pooling, 500 units: 431,080 parameters on MNIST.",
        source="LeCun et al. 1998 in the form of Caffe, as in SNIP and DNS",
        when="To compare with published results on MNIST. Images below 16 pixels are padded (`same`).",
        words="LeNet-5",
    ),
    Entry(
        kind="model",
        name="cnn",
        title="Small CNN",
        family="convolutional",
        summary="Blocks of convolution, batch normalisation, ReLU and pooling, then a small head.",
        formula="block: pool(activation(BN(conv(x))))",
        when="Small images; trains in seconds on digits.",
        words="a CNN with filters {filters}",
        params=(
            Param(name="filters", type="ints", doc="filters of each block", default=(32, 64), low=1, high=4096),
            Param(name="kernel_size", type="int", doc="height and width of the filters", default=3, low=1, high=15),
            Param(
                name="dense",
                type="ints",
                doc="units of hidden dense layers after the blocks",
                default=(),
                low=1,
                high=65_536,
            ),
            Param(name="activation", type="str", doc="of all hidden layers", default="relu", choices=ACTIVATIONS),
            Param(name="batch_norm", type="bool", doc="batch normalisation after each convolution", default=True),
            Param(
                name="head",
                type="str",
                doc="what leads from images to vectors",
                default="flatten",
                choices=("flatten", "average"),
            ),
            _DROPOUT,
        ),
    ),
    Entry(
        kind="model",
        name="vgg11",
        title="VGG-11 for small images",
        family="convolutional",
        summary="Eight convolutions of 3x3 with batch normalisation, 64 to 512 filters, and one dense layer.",
        source="Simonyan & Zisserman 2015, configuration A, for 32x32 images",
        when="CIFAR; `width: 0.25` for a quick one.",
        words="VGG-11",
        params=(_WIDTH, _DROPOUT),
    ),
    Entry(
        kind="model",
        name="vgg16",
        title="VGG-16 for small images",
        family="convolutional",
        summary="Thirteen 3x3 convolutions with batch normalisation and one dense layer: 14.7 M parameters.",
        source="Simonyan & Zisserman 2015, configuration D, for 32x32 images",
        when="To compare with published results on CIFAR; a GPU helps.",
        words="VGG-16",
        params=(_WIDTH, _DROPOUT),
    ),
    Entry(
        kind="model",
        name="resnet20",
        title="ResNet-20",
        family="residual",
        summary="Three stages of residual blocks with 16, 32 and 64 filters; 1x1 projections where the size changes.",
        formula="x <- ReLU(shortcut(x) + BN(conv(ReLU(BN(conv(x))))))",
        source="He et al. 2016, section 4.2, shortcuts of type B",
        when="CIFAR, and wherever layers have to be pruned together.",
        words="a ResNet of {blocks} blocks a stage",
        params=(
            Param(
                name="blocks",
                type="int",
                doc="blocks a stage (3: ResNet-20, 9: ResNet-56)",
                default=3,
                low=1,
                high=18,
            ),
            _WIDTH,
        ),
    ),
    Entry(
        kind="model",
        name="mobilenet_small",
        title="Small MobileNet",
        family="depthwise separable",
        summary="A 3x3 convolution and six depthwise separable blocks, 32 to 256 filters, for small images.",
        formula="block: ReLU(BN(conv1x1(ReLU(BN(depthwise3x3(x))))))",
        source="after Howard et al. 2017",
        when="Already lean: to see what pruning still finds, and depthwise layers at work.",
        words="a small MobileNet",
        params=(_WIDTH, _DROPOUT),
    ),
    Entry(
        kind="model",
        name="file",
        title="Your model (.keras)",
        family="yours",
        summary="A saved Keras model with its trained weights, loaded in safe mode (no code from the file is run).",
        when="To prune what you have trained. `train: {epochs: 0}` leaves the weights as they are.",
        words="the model in {file}",
        params=(Param(name="file", type="str", doc="path of the .keras file", default=msgspec.UNSET),),
    ),
)
