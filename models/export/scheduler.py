"""diffusers' scheduler_config.json as bundle.json's `scheduler`: the same constants, camelCase names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.export.errors import ExportError

PREDICTIONS = {
    "epsilon": "epsilon",
    "v_prediction": "v",
    "sample": "sample",
    "flow_prediction": "flow",
}
BETAS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
SPACING = ("timestep_spacing", "steps_offset")
# Options that change the numbers and that the library's samplers lack, with the value that is theirs.
NOT_TAKEN = {
    "thresholding": False,
    "clip_sample": False,
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "use_lu_lambdas": False,
    "rescale_betas_zero_snr": False,
    "trained_betas": None,
    "stochastic_sampling": False,
    "invert_sigmas": False,
}


@dataclass
class Schedule:
    """`options` is bundle.json's `scheduler`, `prediction` its `transformer.prediction`; `notes` say
    where sampling will differ from that of diffusers."""

    options: dict[str, Any]
    prediction: str
    notes: list[str] = field(default_factory=list)


def describe_scheduler(
    config: Mapping[str, Any],
    *,
    timestep_scale: float = 1000,
    trailing: bool = False,
) -> Schedule:
    """Raise CHECKPOINT_UNSUPPORTED for a scheduler that is not known.

    timestep_scale: the model's timestep at sigma 1, for flow matching; trailing: the pipeline asks
    for sigmas 1 - i / n itself, as Flux's does.
    """
    kind = config.get("_class_name", "")
    notes = [
        f"{kind}: {name} = {config[name]!r} of the checkpoint is not taken over."
        for name, ours in NOT_TAKEN.items()
        if name in config and (config[name] or ours) != ours
    ]
    if kind == "FlowMatchEulerDiscreteScheduler":
        names = ("num_train_timesteps", "shift", "use_dynamic_shifting", "shift_terminal")
        if config.get("use_dynamic_shifting"):
            names += ("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len")
            names += ("time_shift_type",)
        options = {"kind": "flow-match-euler", **chosen(config, names)}
        options["timestepScale"] = timestep_scale
        if trailing:
            options["timestepSpacing"] = "trailing"
        return Schedule(options, "flow", notes)
    if kind == "FlowMatchHeunDiscreteScheduler":
        options = {
            "kind": "flow-match-heun",
            **chosen(config, ("num_train_timesteps", "shift")),
            "timestepScale": timestep_scale,
        }
        return Schedule(options, "flow", notes)
    prediction = PREDICTIONS.get(config.get("prediction_type", "epsilon"))
    if prediction is None:
        raise ExportError(
            "CHECKPOINT_UNSUPPORTED",
            f"The scheduler predicts {config['prediction_type']!r}.",
            received=config["prediction_type"],
            expected=", ".join(PREDICTIONS),
        )
    if kind == "DDIMScheduler":
        names = (*BETAS, *SPACING, "set_alpha_to_one")
        return Schedule({"kind": "ddim", **chosen(config, names)}, prediction, notes)
    if kind == "HeunDiscreteScheduler":
        return Schedule({"kind": "heun", **chosen(config, (*BETAS, *SPACING))}, prediction, notes)
    if kind == "DPMSolverMultistepScheduler":
        return Schedule(
            multistep(config, prediction, timestep_scale),
            prediction,
            notes + differences(config, MULTISTEP, prediction),
        )
    if kind == "UniPCMultistepScheduler":
        options = {**multistep(config, prediction, timestep_scale), "kind": "unipc"}
        return Schedule(options, prediction, notes + differences(config, UNIPC, prediction))
    if kind in STAND_INS:
        notes.append(
            f"The checkpoint samples with {kind}, which the library does not have; "
            "DPM-Solver++ (2M) on the same noise levels stands in for it."
        )
        return Schedule(multistep(config, prediction, timestep_scale), prediction, notes)
    raise ExportError(
        "CHECKPOINT_UNSUPPORTED",
        f"The checkpoint's scheduler is {kind or 'nameless'}, which the exporter does not know.",
        received=kind,
        expected="FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler, DDIMScheduler, "
        "DPMSolverMultistepScheduler, UniPCMultistepScheduler or HeunDiscreteScheduler",
    )


# Other solvers of the same equation with the same options.
STAND_INS = (
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "PNDMScheduler",
    "DDPMScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "LMSDiscreteScheduler",
)


def multistep(config: Mapping[str, Any], prediction: str, timestep_scale: float) -> dict[str, Any]:
    options = {"kind": "dpm-solver++", **chosen(config, (*BETAS, *SPACING))}
    if prediction == "flow":
        options["flowShift"] = config.get("flow_shift", 1.0)
        options["timestepScale"] = timestep_scale
    return options


# DPM-Solver++ (2M), midpoint, and UniPC of order 2, both to a final sigma of zero.
MULTISTEP = {
    "solver_order": 2,
    "solver_type": "midpoint",
    "algorithm_type": "dpmsolver++",
    "final_sigmas_type": "zero",
    "euler_at_final": False,
}
UNIPC = {
    "solver_order": 2,
    "solver_type": "bh2",
    "predict_x0": True,
    "lower_order_final": True,
    "disable_corrector": [],
    "solver_p": None,
    "final_sigmas_type": "zero",
    "use_dynamic_shifting": False,
    "shift_terminal": None,
}


def differences(config: Mapping[str, Any], ours: Mapping[str, Any], prediction: str) -> list[str]:
    """How far the options of a multistep solver are from those that the library has."""
    if prediction == "flow":
        ours = {**ours, "use_flow_sigmas": True}
    return [
        f"{config['_class_name']}: {name} = {config[name]!r} of the checkpoint; ours is {value!r}."
        for name, value in ours.items()
        if config.get(name, value) != value
    ]


def chosen(config: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the options that the config has, in camelCase."""
    return {camel_case(name): config[name] for name in names if config.get(name) is not None}


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
