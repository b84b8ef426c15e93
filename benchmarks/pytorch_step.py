"""A plain PyTorch version of the training step of alad_tf: networks of a table, losses, alternating updates, average.

The networks and their calls are the same, so that the losses are equal. Two things differ: PyTorch's Adam adds epsilon
after the bias correction, and PyTorch has other random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from architectures import Alad
from architectures.rows import Joint, Stack

Logits = dict[str, torch.Tensor]


class SpectralLinear(nn.Linear):
    """x W^T / sigma + b with one power iteration per training call; the gradient flows through sigma."""

    u: torch.Tensor

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__(inputs, units)
        self.register_buffer("u", torch.randn(units))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [n, inputs] to [n, units]."""
        W = self.weight
        with torch.no_grad():
            v = F.normalize(self.u @ W, dim=0)
        projection = W @ v
        u = F.normalize(projection.detach(), dim=0)
        if self.training:
            self.u = u
        return F.linear(x, W / (projection @ u), self.bias)


def stack(width: int, rows: Stack, slope: float, *, normalised: bool) -> nn.Sequential:
    """Layers for rows of a table: linear, batch norm, non-linearity, dropout."""
    activations: dict[str, Callable[[], nn.Module]] = {
        "LReLU": lambda: nn.LeakyReLU(slope),
        "ReLU": nn.ReLU,
        "Tanh": nn.Tanh,
        "Sigmoid": nn.Sigmoid,
    }
    layers: list[nn.Module] = []
    for row in rows:
        layers.append((SpectralLinear if normalised else nn.Linear)(width, row.units))
        if row.batch_norm:
            layers.append(nn.BatchNorm1d(row.units, eps=1e-3, momentum=0.01))
        if row.activation != "None":
            layers.append(activations[row.activation]())
        if row.dropout:
            layers.append(nn.Dropout(row.dropout))
        width = row.units
    return nn.Sequential(*layers)


def network(width: int, rows: Stack, slope: float, *, normalised: bool) -> nn.Sequential:
    """G or E; the output layer is never normalised."""
    hidden = stack(width, rows[:-1], slope, normalised=normalised)
    return nn.Sequential(hidden, stack(rows[-2].units, rows[-1:], slope, normalised=False))


class Discriminator(nn.Module):
    """Logits [n, 1] of pairs (a [n, width_a], b [n, width_b])."""

    def __init__(self, width_a: int, width_b: int, rows: Joint, slope: float, *, normalised: bool) -> None:
        super().__init__()
        self.only_x = stack(width_a, rows.only_x, slope, normalised=normalised)
        self.only_z = stack(width_b, rows.only_z, slope, normalised=normalised)
        width = sum(branch[-1].units if branch else w for branch, w in ((rows.only_x, width_a), (rows.only_z, width_b)))
        self.hidden = stack(width, rows.joint[:-1], slope, normalised=normalised)
        self.logits = nn.Linear(rows.joint[-2].units, 1)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The pairs' logits."""
        features: torch.Tensor = self.hidden(torch.cat([self.only_x(a), self.only_z(b)], dim=1))
        return self.logits(features)


class Networks(nn.Module):
    """G, E, Dxz, Dxx and Dzz of a table; kernels by Glorot, biases constant."""

    def __init__(self, table: Alad, *, spectral_norm: bool = True) -> None:
        super().__init__()
        x, z, slope = table.n_features, table.latent_dim, table.lrelu_slope
        self.G = network(z, table.G, slope, normalised=False)
        self.E = network(x, table.E, slope, normalised=spectral_norm)
        self.Dxz = Discriminator(x, z, table.Dxz, slope, normalised=spectral_norm)
        self.Dxx = Discriminator(x, x, table.Dxx, slope, normalised=spectral_norm)
        self.Dzz = Discriminator(z, z, table.Dzz, slope, normalised=spectral_norm)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.constant_(module.bias, table.initializer.bias)

    @property
    def discriminator_weights(self) -> list[nn.Parameter]:
        """Weights that the D update changes."""
        return [weight for D in (self.Dxz, self.Dxx, self.Dzz) for weight in D.parameters()]

    @property
    def generator_encoder_weights(self) -> list[nn.Parameter]:
        """Weights that the G/E update changes."""
        return [*self.G.parameters(), *self.E.parameters()]

    def cycles(self, x: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """E(x), G(z), G(E(x)) and E(G(z))."""
        z_hat = self.E(x)
        x_tilde, x_hat = self.G(torch.cat([z, z_hat])).chunk(2)
        return z_hat, x_tilde, x_hat, self.E(x_tilde)

    def pair_logits(self, x: torch.Tensor, z: torch.Tensor, cycles: tuple[torch.Tensor, ...]) -> tuple[Logits, Logits]:
        """Logits of each discriminator on its "real" and its "fake" pairs; separate calls of Dxz for batch norm."""
        z_hat, x_tilde, x_hat, z_tilde = cycles
        real, fake = {"Dxz": self.Dxz(x, z_hat)}, {"Dxz": self.Dxz(x_tilde, z)}
        real["Dxx"], fake["Dxx"] = self.Dxx(torch.cat([x, x]), torch.cat([x, x_hat])).chunk(2)
        real["Dzz"], fake["Dzz"] = self.Dzz(torch.cat([z, z]), torch.cat([z, z_tilde])).chunk(2)
        return real, fake

    def discriminator_loss(self, x: torch.Tensor, z: torch.Tensor) -> Logits:
        """Loss of each discriminator, a scalar; no gradient reaches G and E."""
        with torch.no_grad():
            cycles = self.cycles(x, z)
        return cross_entropies(*self.pair_logits(x, z, cycles))

    def generator_encoder_loss(self, x: torch.Tensor, z: torch.Tensor) -> Logits:
        """Loss of G and E against each discriminator: the labels of the pairs are swapped."""
        real, fake = self.pair_logits(x, z, self.cycles(x, z))
        return cross_entropies(fake, real)


def cross_entropies(ones: Logits, zeros: Logits) -> Logits:
    """Mean cross-entropy of each discriminator for pairs with labels 1 and 0."""
    return {name: F.softplus(-ones[name]).mean() + F.softplus(zeros[name]).mean() for name in ones}


class Trainer:
    """Alternating updates on rows reshuffled in each epoch, and the moving average of the weights."""

    def __init__(
        self,
        table: Alad,
        x_train: np.ndarray,
        *,
        spectral_norm: bool = True,
        ema_decay: float = 0.999,
        compiled: bool = False,
    ) -> None:
        networks = Networks(table, spectral_norm=spectral_norm)
        self.table, self.networks, self.ema_decay = table, networks, ema_decay
        self.weights = list(networks.parameters())
        self.average = [weight.detach().clone() for weight in self.weights]
        self.x_train = torch.from_numpy(np.array(x_train)).to(self.weights[0].device)
        d_loss, ge_loss = networks.discriminator_loss, networks.generator_encoder_loss
        if compiled:
            d_loss, ge_loss = torch.compile(d_loss), torch.compile(ge_loss)
        self.d_update = Update(d_loss, networks.discriminator_weights, table)
        self.ge_update = Update(ge_loss, networks.generator_encoder_weights, table)
        self.batches = self.epochs()

    def epochs(self) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield the row numbers of each step, [batch] each: for the D update, then for each G/E update."""
        while True:
            orders = [torch.randperm(len(self.x_train)) for _ in range(1 + self.table.ge_steps)]
            for rows in zip(*(order.split(self.table.batch_size) for order in orders)):
                if len(rows[0]) == self.table.batch_size:
                    yield rows

    def train(self, steps: int) -> float:
        """Take a number of steps; returns the last loss of the discriminators."""
        for _ in range(steps):
            for_d, *for_ge = next(self.batches)
            loss = self.d_update(self.x_train[for_d])
            for rows in for_ge:
                self.ge_update(self.x_train[rows])
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self.weights, 1.0 - self.ema_decay)
        return loss.item()


class Update:
    """An update of some weights; only these get gradients."""

    def __init__(
        self, loss: Callable[[torch.Tensor, torch.Tensor], Logits], weights: list[nn.Parameter], table: Alad
    ) -> None:
        self.loss, self.weights, self.latent_dim = loss, weights, table.latent_dim
        adam, betas = table.optimizer, (table.optimizer.beta1, table.optimizer.beta2)
        self.optimizer = torch.optim.Adam(weights, adam.learning_rate, betas, adam.epsilon, fused=True)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Update on x [batch, d] with fresh z; returns the loss."""
        total = sum(self.loss(x, torch.randn(len(x), self.latent_dim)).values())
        self.optimizer.zero_grad()
        total.backward(inputs=self.weights)
        self.optimizer.step()
        return total.detach()
