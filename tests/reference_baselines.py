"""Slow, simple NumPy versions (float64) of the baselines of Section V-B; see `reference`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from reference import AdamReference, Stack, cross_entropy, to_float64

from architectures.rows import (
    Adam,
    Dagmm,
    Dsebm,
    Gan,
)


def backward(stack: Stack, inputs: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The chain rule through dense rows: d/d inputs of a sum whose d/d outputs is `gradient`, both [n, units]."""
    derivatives, hidden = [], inputs
    for row, weights in zip(stack.rows, stack.weights):
        a = hidden @ weights["kernel"] + weights["bias"]
        if row.activation == "Softplus":
            hidden, derivative = np.log1p(np.exp(a)), 1.0 / (1.0 + np.exp(-a))
        else:
            slope = {"LReLU": stack.slope, "ReLU": 0.0, "None": 1.0}[row.activation]
            derivative = np.where(a > 0, 1.0, slope)
            hidden = a * derivative
        derivatives.append(derivative)
    for weights, derivative in zip(reversed(stack.weights), reversed(derivatives)):
        gradient = (gradient * derivative) @ weights["kernel"].T
    return gradient


def differences(function: Any, x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences, by each entry of x, of a function without arguments that reads x."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        here = x[place]
        x[place] = here + step
        above = function()
        x[place] = here - step
        gradient[place] = (above - function()) / (2.0 * step)
        x[place] = here
    return gradient


def weights_of(*stacks: Stack) -> list[np.ndarray]:
    """Kernels and biases, which may be changed in place."""
    return [weights[name] for stack in stacks for weights in stack.weights if weights for name in ("kernel", "bias")]


class DsebmReference:
    """E(x) = 1/2 ||x - b'||^2 - sum of h(x), its gradient, and the loss and scores that use it."""

    def __init__(self, model: Any, table: Dsebm) -> None:
        self.h, self.b = Stack(list(model.h.layers), table.h, table.data_shape, False, 0.0), to_float64(model.b)

    def energy(self, x: np.ndarray) -> np.ndarray:
        """Energies [n], row by row."""
        return np.array([0.5 * np.sum((row - self.b) ** 2) - np.sum(self.h(row[None])) for row in x])

    def numeric_gradient(self, x: np.ndarray) -> np.ndarray:
        """dE/dx [n, ...] by central differences."""
        x = x.copy()
        return differences(lambda: float(self.energy(x).sum()), x)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """dE/dx [n, d] of dense rows by the formula of each layer."""
        return (x - self.b) - backward(self.h, x, np.ones((len(x), self.h.shape[-1])))

    def loss(self, x: np.ndarray, noise: np.ndarray) -> float:
        """Denoising score matching of dense rows: the mean of ||x - f(x + noise)||^2, f(x) = x - dE/dx."""
        noisy = x + noise
        f = noisy - self.gradient(noisy)
        return float(np.mean([np.sum((row - row_hat) ** 2) for row, row_hat in zip(x, f)]))


class DagmmReference:
    """Autoencoder, features z, memberships and mixture, by equations 1 to 7 of Zong et al."""

    def __init__(self, model: Any, table: Dagmm) -> None:
        code = table.encoder[-1].units
        self.table = table
        self.encoder = Stack(list(model.encoder.layers), table.encoder, table.data_shape, False, 0.0)
        self.decoder = Stack(list(model.decoder.layers), table.decoder, (code,), False, 0.0)
        self.estimation = Stack(list(model.estimation.layers), table.estimation, (code + 2,), False, 0.0)

    def features(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """z [n, code + 2] and x' [n, d]."""
        code, z = self.encoder(x), []
        x_hat = self.decoder(code)
        for row, row_hat, row_code in zip(x, x_hat, code):
            length, length_hat = np.sqrt(row @ row), np.sqrt(row_hat @ row_hat)
            distance = np.sqrt((row - row_hat) @ (row - row_hat)) / length
            z.append([*row_code, distance, (row @ row_hat) / (length * length_hat)])
        return np.array(z), x_hat

    def parts(self, x: np.ndarray) -> dict[str, float]:
        """The objective on a batch, and its three terms without their weights."""
        z, x_hat = self.features(x)
        mixture = mixture_of(z, self.estimation(z))
        reconstruction = float(np.mean([(row - row_hat) @ (row - row_hat) for row, row_hat in zip(x, x_hat)]))
        energy = float(np.mean(mixture_energy(z, *mixture)))
        singularity = sum(1.0 / sigma[j, j] for sigma in mixture[2] for j in range(len(sigma)))
        loss = reconstruction + self.table.energy_weight * energy + self.table.singularity_weight * singularity
        return {"loss": loss, "reconstruction": reconstruction, "energy": energy, "singularity": singularity}

    def scores(self, x: np.ndarray, x_train: np.ndarray) -> np.ndarray:
        """The energies [n] in the mixture of all training rows."""
        z, _ = self.features(x_train)
        return mixture_energy(self.features(x)[0], *mixture_of(z, self.estimation(z)))


def mixture_of(z: np.ndarray, gamma: np.ndarray, floor: float = 1e-6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """phi [K], mu [K, D] and Sigma [K, D, D], whose variances get `floor` more, of z [n, D] and gamma [n, K]."""
    (n, dimensions), gaussians = z.shape, gamma.shape[1]
    phi, mu = np.zeros(gaussians), np.zeros((gaussians, dimensions))
    sigma = np.zeros((gaussians, dimensions, dimensions))
    for k in range(gaussians):
        total = sum(gamma[i, k] for i in range(n))
        phi[k] = total / n
        mu[k] = sum(gamma[i, k] * z[i] for i in range(n)) / total
        sigma[k] = sum(gamma[i, k] * np.outer(z[i] - mu[k], z[i] - mu[k]) for i in range(n)) / total
        sigma[k] += floor * np.eye(dimensions)
    return phi, mu, sigma


def mixture_energy(z: np.ndarray, phi: np.ndarray, mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """-log of the density [n], with the inverse and det(2 pi Sigma) as in the formula."""
    energies = []
    for row in z:
        density = 0.0
        for weight, mean, covariance in zip(phi, mu, sigma):
            exponent = -0.5 * (row - mean) @ np.linalg.inv(covariance) @ (row - mean)
            density += weight * np.exp(exponent) / np.sqrt(np.linalg.det(2.0 * np.pi * covariance))
        energies.append(-np.log(density))
    return np.array(energies)


class GanReference:
    """G and D of a table of dense rows, and the search for z."""

    def __init__(self, model: Any, table: Gan) -> None:
        slope = table.lrelu_slope
        rows = tuple(replace(row, dropout=0.0) for row in table.D)
        layers = list(model.D.layers)
        self.G = Stack(list(model.G.layers), table.G, (table.latent_dim,), False, slope)
        self.f = Stack(layers, rows[:-1], table.data_shape, False, slope)
        self.logits = Stack(layers, (replace(rows[-1], activation="None"),), self.f.shape, False, slope)

    def losses(self, x: np.ndarray, z: np.ndarray) -> tuple[float, float]:
        """Losses of D, which labels x 1 and G(z) 0, and of G, which labels G(z) 1."""
        real, fake = (self.logits(self.f(rows)) for rows in (x, self.G(z)))
        return cross_entropy(real, 1) + cross_entropy(fake, 0), cross_entropy(fake, 1)

    def distances(self, x: np.ndarray, z: np.ndarray) -> tuple[float, float]:
        """||x - G(z)||_1 and ||f(x) - f(G(z))||_1 of one row."""
        x_hat = self.G(z[None])
        residual = sum(abs(a - b) for a, b in zip(x, x_hat[0]))
        return residual, sum(abs(a - b) for a, b in zip(self.f(x[None])[0], self.f(x_hat)[0]))

    def search_gradient(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """d/dz of 0.9 residual + 0.1 distance, by the chain rule."""
        x_hat = self.G(z[None])
        of_features = backward(self.f, x_hat, 0.1 * np.sign(self.f(x_hat) - self.f(x[None])))
        return backward(self.G, z[None], 0.9 * np.sign(x_hat - x[None]) + of_features)[0]

    def search(self, x: np.ndarray, z: np.ndarray, steps: int) -> np.ndarray:
        """z after some steps of Adam."""
        adam, z = AdamReference(Adam(1e-3, beta1=0.9)), z.astype(np.float64)
        for _ in range(steps):
            (z,) = adam.step([z], [self.search_gradient(x, z)])
        return z
