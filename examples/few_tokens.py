"""A wordy wish in few tokens, and what it costs to encode it a second time, or one much like it.

python examples/few_tokens.py
"""

from fusion import Engine, FusionRequest

WISH = (
    "Please make a stunning, highly detailed portrait of a smiling woman in her thirties with "
    "glasses, in front of a park, lit from the left. She should not wear a hat."
)

engine = Engine.load("mini")
requests = [
    FusionRequest(text=WISH),
    FusionRequest(text=WISH),
    FusionRequest(text=WISH, attributes={"age": 60}),  # from now on the beginning is kept
    FusionRequest(text=WISH, attributes={"age": 70}),
]
held = engine.prompts.pool.statistics()
for plan in engine.encode_prompts(requests):
    before, held = held, engine.prompts.pool.statistics()
    reused = held.positions_reused - before.positions_reused
    asked = held.positions_asked - before.positions_asked
    print(f'"{plan.prompt}", not "{plan.negative_prompt}"')
    print(f"  {plan.tokens} tokens of {plan.baseline_tokens}; {reused} of {asked} positions reused")
