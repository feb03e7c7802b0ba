"""Many portraits at once: in order by one call, or by hand with previews and a change of mind.

python examples/many_at_once.py
"""

import time

from fusion import Engine, EventKind, FusionCancelled, FusionRequest

AGES = (20, 30, 40, 50, 60, 70)
requests = [
    FusionRequest(attributes={"gender": "woman", "age": age}, seed=age, steps=20) for age in AGES
]

with Engine.load("mini") as engine:
    engine.fuse(requests[0])  # the first one loads the models

    started = time.perf_counter()
    for request in requests:
        engine.fuse(request)
    one_by_one = time.perf_counter() - started

    started = time.perf_counter()
    for age, result in zip(AGES, engine.fuse_all(requests), strict=True):
        result.images[0].save(f"age-{age}.png")
    at_once = time.perf_counter() - started
    print(f"{len(AGES)} portraits one by one: {one_by_one:.1f} s, at once: {at_once:.1f} s")

    handle = engine.submit(FusionRequest(attributes={"hat": True}, steps=20, previews=3))
    unwanted = engine.submit(FusionRequest(attributes={"beard": True}, steps=400))
    for event in handle.events():
        if event.kind is EventKind.PREVIEW:
            file = f"preview-{event.step}.png"
            event.image.save(file)
            print(f"step {event.step} of {event.steps}: what it becomes is in {file}")
    unwanted.cancel()
    try:
        unwanted.result()
    except FusionCancelled as cancelled:
        print(cancelled)
    for decision in handle.result().trace.decisions:
        print(f"  {decision}")
