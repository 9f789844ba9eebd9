"""Diffusers' schedulers over a fixed sequence of model outputs, for test/parity/schedule.test.ts.

Reads cases as JSON from standard input: [{"scheduler": class name, "config": {...}, "steps": n, "mu": number | null,
"outputs": [[...]] (one flat list per evaluation), "latents": [...], "eta": number | null, "noises": like outputs}],
writes [{"timesteps", "inputs", "samples"}]: what the model was given in each evaluation and the sample after it.
"""

import json
import sys

import diffusers
import torch


def run(case):
    scheduler = getattr(diffusers, case["scheduler"])(**case["config"])
    extra = {"mu": case["mu"]} if case.get("mu") is not None else {}
    if case.get("sigmas") is not None:
        scheduler.set_timesteps(sigmas=case["sigmas"], **extra)
    else:
        scheduler.set_timesteps(case["steps"], **extra)
    # One row: UniPC's einsum wants a batch and a channel.
    sample = torch.tensor([case["latents"]], dtype=torch.float32) * float(
        getattr(scheduler, "init_noise_sigma", 1.0)
    )
    inputs, samples = [], []
    for index, timestep in enumerate(scheduler.timesteps):
        scaled = (
            scheduler.scale_model_input(sample, timestep)
            if hasattr(scheduler, "scale_model_input")
            else sample
        )
        inputs.append(scaled[0].tolist())
        output = torch.tensor([case["outputs"][index % len(case["outputs"])]], dtype=torch.float32)
        fresh = {}
        if case.get("eta") is not None:
            noise = torch.tensor([case["noises"][index]], dtype=torch.float32)
            fresh = {"eta": case["eta"], "variance_noise": noise}
        sample = scheduler.step(output, timestep, sample, return_dict=False, **fresh)[0]
        samples.append(sample[0].tolist())
    return {
        "timesteps": [float(t) for t in scheduler.timesteps],
        "inputs": inputs,
        "samples": samples,
    }


if __name__ == "__main__":
    json.dump([run(case) for case in json.load(sys.stdin)], sys.stdout)
