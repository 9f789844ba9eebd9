"""One step of training by flow matching, on tensors that stay where they are.

Everything a step reads from outside (which images, their noise, the learning rate...) lies in
tensors that are filled anew before each step, so that on a GPU the whole step, from the loss to the
average of the weights, is recorded once as a CUDA graph and replayed: a model this small is
otherwise slowed down by the launching of its kernels. What is random is drawn from (seed, step)
alone, on the device that trains.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.diffusion_transformer import DiffusionTransformer, TransformerConfig
from models.training_options import TrainingOptions

# Sandals, sneakers and boots all point to the left; the other garments are as good in the mirror.
NEVER_MIRRORED = (5, 7, 9)


def flow_matching_loss(
    model: nn.Module,
    images: Tensor,
    noise: Tensor,
    t: Tensor,
    labels: Tensor,
) -> Tensor:
    """Mean squared error of the predicted v = noise - x_0 at x_t = (1 - t) * x_0 + t * noise.

    images, noise: [B, 1, 28, 28], images in [-1, 1]; t: [B] in (0, 1); labels: [B] int64.
    """
    mixture = t[:, None, None, None]
    prediction = model((1 - mixture) * images + mixture * noise, t, labels)
    return F.mse_loss(prediction.float(), noise - images)


class TrainingStep:
    """The model, its average, the optimiser, and the step that moves them.

    images: [N, 1, 28, 28] float32 in [-1, 1] and labels: [N] int64, the whole data set.
    """

    def __init__(
        self, config: TransformerConfig, options: TrainingOptions, images: Tensor, labels: Tensor
    ) -> None:
        self.config, self.options = config, options
        self.device = torch.device(options.device)
        self.images, self.labels = images.to(self.device), labels.to(self.device)
        torch.manual_seed(options.seed)
        self.model = DiffusionTransformer(config).to(self.device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.rate = torch.zeros((), device=self.device)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.rate,
            betas=(0.9, 0.99),
            weight_decay=options.weight_decay,
            fused=True,
            capturable=self.device.type == "cuda",
        )
        batch = options.batch_size
        self.chosen = torch.zeros(batch, dtype=torch.int64, device=self.device)
        self.noise = torch.zeros(batch, *images.shape[1:], device=self.device)
        # Of t, of the dropping of labels and of mirroring.
        self.normal, self.dropping, self.mirroring = torch.zeros(3, batch, device=self.device)
        self.mirrored_classes = torch.full(
            (config.num_classes,), options.mirror, device=self.device
        )
        self.mirrored_classes[list(NEVER_MIRRORED)] = False
        self.pull = torch.zeros((), device=self.device)
        self.loss = torch.zeros((), device=self.device)
        self.loss_sum = torch.zeros((), device=self.device)
        self.generator = torch.Generator(self.device)
        self.half = options.precision == "bfloat16" or (
            options.precision == "auto" and self.device.type == "cuda"
        )
        self._replay: Callable[[], None] = self._step

    def load(self, saved: dict[str, Any]) -> None:
        """Go on from what `state` returned, on whichever device that was."""
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        # The moments are the run's; the settings are this machine's.
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict(
            {"state": saved["optimiser"]["state"], "param_groups": groups}
        )
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": {"state": self.optimiser.state_dict()["state"]},
        }

    def prepare(self) -> str:
        """Compile and record as the options and the device allow; says in words what was done."""
        compiled = self.options.compile == "yes" or (
            self.options.compile == "auto" and self.device.type == "cuda"
        )
        if compiled:
            # A block at a time: all of them share what is compiled for the first.
            for block in self.model.blocks:
                block.compile()
            try:
                self._rehearse(self._step)
            except Exception as error:
                print(f"without torch.compile: {error!r}"[:400], file=sys.stderr, flush=True)
                compiled = False
                for block in self.model.blocks:
                    block._compiled_call_impl = None
        recorded = self.device.type == "cuda" and self._record()
        precision = "bfloat16" if self.half else "float32"
        how = [precision, "compiled" if compiled else "eager"]
        return ", ".join(how + (["recorded as a CUDA graph"] if recorded else []))

    def run(self, step: int, rate: float, decay: float) -> None:
        """Train on the batch of `step`; `decay` is that of the average of the weights."""
        self.generator.manual_seed(self.options.seed * 1_000_003 + step)
        self.chosen.random_(0, len(self.images), generator=self.generator)
        self.noise.normal_(generator=self.generator)
        self.normal.normal_(generator=self.generator)
        self.dropping.uniform_(generator=self.generator)
        self.mirroring.uniform_(generator=self.generator)
        self.rate.fill_(rate)
        self.pull.fill_(1 - decay)
        self._replay()

    def mean_loss(self, steps: int) -> float:
        """Mean of the losses since the last call, which was `steps` steps ago; waits for them."""
        mean = self.loss_sum.item() / steps if steps else math.nan
        self.loss_sum.zero_()
        return mean

    def batch(self) -> tuple[Tensor, Tensor]:
        """The chosen images, mirrored where they are to be, and their labels."""
        images, labels = self.images[self.chosen], self.labels[self.chosen]
        mirrored = (self.mirroring < 0.5) & self.mirrored_classes[labels]
        return torch.where(mirrored[:, None, None, None], images.flip(3), images), labels

    def _step(self) -> None:
        images, labels = self.batch()
        # Logit-normal t: Esser et al., arXiv 2403.03206, section 3.1. Dropped labels: Ho & Salimans,
        # arXiv 2207.12598.
        labels = labels.masked_fill(
            self.dropping < self.options.label_dropout, self.config.null_class
        )
        # No cache: a recorded step must cast the weights anew.
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.half, cache_enabled=False
        ):
            loss = flow_matching_loss(self.model, images, self.noise, self.normal.sigmoid(), labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            # average <- average + pull * (weights - average)
            averages = list(self.average.parameters())
            apart = torch._foreach_sub(list(self.model.parameters()), averages)
            torch._foreach_mul_(apart, self.pull)
            torch._foreach_add_(averages, apart)
            self.loss_sum.add_(loss.detach())

    def _rehearse(self, work: Callable[[], None]) -> None:
        """Run steps that are needed for compiling or recording, and take back what they changed."""
        weights = [*self.model.parameters(), *self.average.parameters()]
        before = [weight.detach().clone() for weight in weights]
        state = self.optimiser.state
        moments = {
            p: {name: value.clone() for name, value in of.items()} for p, of in state.items()
        }
        work()
        with torch.no_grad():
            for weight, value in zip(weights, before, strict=True):
                weight.copy_(value)
            for parameter, of in state.items():
                for name, value in of.items():
                    if parameter in moments:
                        value.copy_(moments[parameter][name])
                    else:
                        value.zero_()
            self.loss_sum.zero_()

    def _record(self) -> bool:
        """Record the step as a CUDA graph; False, and as it was, where that does not work."""

        def warm_up() -> None:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self._step()
            torch.cuda.current_stream().wait_stream(stream)
            torch.cuda.synchronize()

        self._rehearse(warm_up)
        graph = torch.cuda.CUDAGraph()
        try:
            self.optimiser.zero_grad(set_to_none=True)
            with torch.cuda.graph(graph):
                self._step()
        except Exception as error:
            print(f"without a CUDA graph: {error!r}"[:400], file=sys.stderr, flush=True)
            torch.cuda.synchronize()
            return False
        self._replay = graph.replay
        return True
