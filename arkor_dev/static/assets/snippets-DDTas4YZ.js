var e=`/api/inference/chat`,t=/[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;function n(e,n){return JSON.stringify(e,null,n).replace(t,e=>`\\u${e.charCodeAt(0).toString(16).padStart(4,`0`)}`)}var r=e=>`'${e.replaceAll(`'`,`'\\''`)}'`;function i(t,i){return[`ARKOR_STUDIO_TOKEN="$(cat ~/.arkor/studio-token)"`,`curl --no-buffer ${r(i+e)} \\`,`  --header "X-Arkor-Studio-Token: $ARKOR_STUDIO_TOKEN" \\`,`  --header 'Content-Type: application/json' \\`,`  --data-binary @- <<'END'`,n(t,2),`END`,``].join(`
`)}function a(e,t=``){if(e==null)return`None`;if(typeof e==`boolean`)return e?`True`:`False`;if(typeof e!=`object`)return n(e);let r=`${t}    `,[i,o,s]=Array.isArray(e)?[`[`,`]`,e.map(e=>a(e,r))]:[`{`,`}`,Object.entries(e).filter(([,e])=>e!==void 0).map(([e,t])=>`${n(e)}: ${a(t,r)}`)];return s.length===0?i+o:`${i}\n${s.map(e=>`${r}${e},\n`).join(``)}${t}${o}`}function o(t,r){return`import json
import os
import pathlib
import sys
import urllib.request

token = os.environ.get("ARKOR_STUDIO_TOKEN") or pathlib.Path("~/.arkor/studio-token").expanduser().read_text().strip()
body = ${a(t)}
request = urllib.request.Request(
    ${n(r+e)},
    data=json.dumps(body).encode(),
    headers={"X-Arkor-Studio-Token": token, "Content-Type": "application/json"},
)


def text_of(data):
    try:
        piece = json.loads(data)
    except ValueError:
        return data
    if not isinstance(piece, dict):
        return piece if isinstance(piece, str) else data
    if piece.get("error"):
        sys.exit(f"The backend says: {piece['error']}")
    for choice in piece.get("choices") or [piece]:
        piece = choice.get("delta") or choice.get("message") or choice
    return piece.get("content") or piece.get("text") or ""


with urllib.request.urlopen(request) as response:
    event = ""
    for line in response:
        field, _, data = line.decode().rstrip("\\r\\n").partition(":")
        data = data.removeprefix(" ")
        if field == "event":
            event = data
        elif field == "data" and event == "error":
            sys.exit(f"The backend says: {data}")
        elif field == "data" and data != "[DONE]" and event not in ("ping", "progress", "end"):
            print(text_of(data), end="", flush=True)
        elif field == "":
            event = ""
print()
`}export{i as asCurl,o as asPython,a as pythonLiteral};