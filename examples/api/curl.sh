#!/usr/bin/env bash
# Nothing but curl against a Limner server.
#
#     export LIMNER_URL=http://127.0.0.1:8188 LIMNER_KEY=lim_…     (`limner serve` shows both)
#     bash examples/api/curl.sh people/person-1.png people/person-2.png
set -euo pipefail
auth=(-H "Authorization: Bearer $LIMNER_KEY" --silent --show-error --fail-with-body)
picture='import base64, json, sys; sys.stdout.buffer.write(base64.b64decode(json.load(sys.stdin)["data"][0]["b64_json"]))'

echo "From words:"
curl "${auth[@]}" "$LIMNER_URL/v1/images/generations" -H 'Content-Type: application/json' \
    -d '{"prompt": "a smiling old man with a hat", "size": "512x512"}' |
    python3 -c "$picture" >generated.png

echo "The face of the second photo in the first, 60 years old:"
curl "${auth[@]}" "$LIMNER_URL/v1/images/edits" \
    -F "image[]=@$1" -F "image[]=@$2" -F prompt=smiling -F 'attributes[age]=60' |
    python3 -c "$picture" >fused.png

echo "Accepted now, fetched later, forgotten:"
id=$(curl "${auth[@]}" "$LIMNER_URL/v1/portraits" -H 'Content-Type: application/json' \
    -d '{"attributes": {"age": 30, "glasses": true}, "wait": false}' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
curl "${auth[@]}" --no-buffer "$LIMNER_URL/v1/portraits/$id/events" | grep '^event:' | uniq -c
curl "${auth[@]}" "$LIMNER_URL/v1/portraits/$id/images/0" --output later.png
curl "${auth[@]}" -X DELETE "$LIMNER_URL/v1/portraits/$id"
echo

echo "Words made short, without drawing:"
curl "${auth[@]}" "$LIMNER_URL/v1/prompts/optimize" -H 'Content-Type: application/json' \
    -d '{"text": "a beautiful portrait of an old man who is wearing glasses, best quality"}'
echo
