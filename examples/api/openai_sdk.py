"""The official OpenAI SDK against a Limner server: generate, edit, stream, and errors.

limner serve                                              # in another terminal; it shows a key
export LIMNER_URL=http://127.0.0.1:8188 LIMNER_KEY=lim_…
limner people 2 -o people/                                # two photos to play with
python examples/api/openai_sdk.py people/*.png
"""

import base64
import os
import sys
from pathlib import Path

import openai

client = openai.OpenAI(base_url=os.environ["LIMNER_URL"] + "/v1", api_key=os.environ["LIMNER_KEY"])
photos = [Path(name) for name in sys.argv[1:3]]


def save(name: str, encoded: str | None) -> None:
    """Write a picture that came as base64."""
    Path(name).write_bytes(base64.b64decode(encoded or ""))
    print(f"  {name}")


print("A new portrait from words:")
answer = client.images.generate(model="mini", prompt="a smiling old man with a hat", n=2)
for number, picture in enumerate(answer.data or (), 1):
    save(f"generated-{number}.png", picture.b64_json)

print("Limner's own settings travel in extra_body, its account comes beside OpenAI's:")
answer = client.images.generate(
    prompt="a woman in a green sweater, masterpiece, best quality",
    extra_body={"attributes": {"age": 60, "glasses": True}, "seed": 7, "steps": 20},
)
told = answer.model_extra["limner"]
print(f"  drawn from {told['prompt']['prompt']!r}: {told['prompt']['tokens']} tokens instead of "
      f"{told['prompt']['baseline_tokens']}, {told['usage']['seconds']:.1f} s")  # fmt: skip
print(f"  left out as filler: {', '.join(told['prompt']['removed'])}")

print("One picture is edited and keeps its person; of two, the first gets the second's face:")
edited = client.images.edit(image=photos[0].read_bytes(), prompt="smiling, with glasses")
save("edited.png", edited.data[0].b64_json if edited.data else None)
fused = client.images.edit(image=[photo.read_bytes() for photo in photos], prompt="smiling")
save("fused.png", fused.data[0].b64_json if fused.data else None)

print("A stream shows what it becomes:")
for event in client.images.generate(prompt="a bearded man", stream=True, partial_images=3):
    done = event.type.endswith("completed")
    save("streamed.png" if done else f"partial-{event.partial_image_index}.png", event.b64_json)

print("What cannot be drawn says why, and what to do:")
try:
    client.images.generate(prompt="a man", extra_body={"attributes": {"hair_collor": "red"}})
except openai.BadRequestError as error:
    print(f"  {error.code}: {error.message}")
