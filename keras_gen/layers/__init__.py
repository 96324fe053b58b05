"""Layers that Keras does not have."""

from keras_gen.errors import check_backend

check_backend()

from keras_gen.layers.alias_free import FilteredLeakyReLU, FourierFeatures, MagnitudeNormalization
from keras_gen.layers.attention import CausalSelfAttention, Positions, TransformerBlock
from keras_gen.layers.attention2d import SelfAttention2D
from keras_gen.layers.codebook import Codebook
from keras_gen.layers.conditional import ConditionalBatchNormalization, ModulatedBatchNormalization
from keras_gen.layers.equalized import BiasActivation, EqualizedConv2D, EqualizedDense
from keras_gen.layers.instance import InstanceNormalization, ReflectionPadding2D
from keras_gen.layers.masked import MaskedConv2D
from keras_gen.layers.minibatch import MinibatchStddev
from keras_gen.layers.modulated import ModulatedConv2D
from keras_gen.layers.moments import RunningMoments
from keras_gen.layers.pool import ImagePool
from keras_gen.layers.recurrent import DiagonalBiLSTM, RowLSTM
from keras_gen.layers.resample import FIR
from keras_gen.layers.shuffle import PixelShuffle
from keras_gen.layers.spade import SpatiallyAdaptiveNormalization
from keras_gen.layers.spectral import SpectralConv2D, SpectralDense
from keras_gen.layers.style import AdaptiveInstanceNormalization, FadeIn, LearnedConstant, Noise, PixelNorm, Styles

__all__ = [
    "AdaptiveInstanceNormalization",
    "BiasActivation",
    "CausalSelfAttention",
    "Codebook",
    "ConditionalBatchNormalization",
    "DiagonalBiLSTM",
    "EqualizedConv2D",
    "EqualizedDense",
    "FIR",
    "FadeIn",
    "FilteredLeakyReLU",
    "FourierFeatures",
    "ImagePool",
    "InstanceNormalization",
    "LearnedConstant",
    "MagnitudeNormalization",
    "MaskedConv2D",
    "MinibatchStddev",
    "ModulatedConv2D",
    "Noise",
    "PixelNorm",
    "ModulatedBatchNormalization",
    "PixelShuffle",
    "Positions",
    "ReflectionPadding2D",
    "RowLSTM",
    "RunningMoments",
    "SelfAttention2D",
    "SpatiallyAdaptiveNormalization",
    "SpectralConv2D",
    "SpectralDense",
    "Styles",
    "TransformerBlock",
]
