"""SVHN, cropped digits 32 x 32 x 3: the same tables as CIFAR-10, as in the paper."""

from dataclasses import replace

from architectures import cifar10

ALAD = replace(cifar10.ALAD, name="SVHN")
GAN = replace(cifar10.GAN, name="SVHN")
