"""``taskgan simulate``: a cohort from physics."""

from typing import Annotated

import typer

from taskgan.cli.options import Anatomy, NewCohort, PartOf, Scheduler, Seed, Subjects, Workers

group = typer.Typer(help="Make a cohort from physics.", no_args_is_help=True, rich_markup_mode=None)


@group.command("pet")
def simulate_pet(
    out: NewCohort,
    subjects: Subjects = 40,
    doses: Annotated[
        list[float] | None, typer.Option("--dose", help="Dose in per cent of the standard; repeatable.")
    ] = None,
    mixed_doses: Annotated[str, typer.Option("--doses", help="Several doses at once, e.g. 1,2,5,10,25.")] = "",
    anatomy: Anatomy = None,
    scale: Annotated[str, typer.Option(help="demo (112×112 at 2 mm) or full (256×256×89).")] = "demo",
    voxel: Annotated[float | None, typer.Option(help="Isotropic voxels of so many mm, e.g. 2.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Acquisitions of every subject, with noise of their own.")] = 1,
    lesions: Annotated[float, typer.Option(min=0, max=1, help="Share of subjects with focal uptake.")] = 0.0,
    spheres: Annotated[int, typer.Option(min=0, help="Test subjects with six spheres of 10 to 37 mm.")] = 0,
    with_t1: Annotated[bool, typer.Option("--with-t1", help="A T1-weighted image of every subject.")] = False,
    positive: Annotated[float, typer.Option(min=0, max=1, help="Share of amyloid-positive subjects.")] = 0.25,
    borderline: Annotated[
        float, typer.Option(min=0, max=1, help="Share of subjects near the cut (composite 1.25 to 1.40).")
    ] = 0.2,
    counts: Annotated[
        float, typer.Option(min=0, max=100, help="Multiply the calibrated counts of the standard dose by this.")
    ] = 1.0,
    seed: Seed = 0,
    workers: Workers = 0,
    part: PartOf = None,
    scheduler: Scheduler = None,
) -> None:
    """Amyloid PET at standard and low dose: anatomy, uptake, TOF projection, thinning, OSEM."""
    from taskgan.simulate.pet.cohort import simulate_pet as run
    from taskgan.simulate.pet.settings import pet_simulation

    several = [part for part in mixed_doses.split(",") if part.strip()]
    settings = pet_simulation(
        subjects=subjects,
        doses=(*(doses or ()), *several) or (1.0,),
        anatomy=anatomy,
        scale=scale,
        voxel=voxel,
        repeats=repeats,
        lesions=lesions,
        spheres=spheres,
        with_t1=with_t1,
        positive=positive,
        borderline=borderline,
        counts=counts,
        seed=seed,
    )
    run(out, settings, workers=workers, part=part, scheduler=scheduler)


@group.command("mr")
def simulate_mr(
    out: NewCohort,
    subjects: Subjects = 67,
    anatomy: Anatomy = None,
    scale: Annotated[str, typer.Option(help="demo (128×128×16) or full (256×256×24).")] = "demo",
    patients: Annotated[float, typer.Option(min=0, max=1, help="Share of patients.")] = 44 / 67,
    tumours: Annotated[
        float, typer.Option(min=0, max=1, help="Share of patients with a tumour; the others have lesions.")
    ] = 0.3,
    noise: Annotated[float, typer.Option(min=0, max=100, help="Multiply the noise of all images.")] = 1.0,
    motion: Annotated[
        float, typer.Option(min=0, max=5, help="SD in mm and degrees between the input and a target.")
    ] = 0.3,
    seed: Seed = 0,
    workers: Workers = 0,
    part: PartOf = None,
    scheduler: Scheduler = None,
) -> None:
    """Six MR contrasts and the complex multi-delay multi-echo input, with lesions or a tumour in patients."""
    from taskgan.simulate.mr.cohort import simulate_mr as run
    from taskgan.simulate.mr.settings import mr_simulation

    settings = mr_simulation(
        subjects=subjects,
        anatomy=anatomy,
        scale=scale,
        patients=patients,
        tumours=tumours,
        noise=noise,
        motion_mm=motion,
        motion_deg=motion,
        seed=seed,
    )
    run(out, settings, workers=workers, part=part, scheduler=scheduler)
