"""A Signalbox agent in the standard library alone: it registers, takes commands and answers them."""
import http.client, json, os, socket, time

HOME = os.environ.get("SIGNALBOX_HOME") or f"/run/user/{os.getuid()}/signalbox"
COMMANDS = {"greet": lambda payload: {"text": f"Hello, {payload['name']}"}}

def read(name):
    with open(os.path.join(HOME, name)) as file:
        return file.read().strip()

def post(path, body):
    connection = http.client.HTTPConnection("signalbox")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(read("address"))  # both change with each start of the service
    headers = {"Authorization": f"Bearer {read('token')}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    reply = connection.getresponse()
    answer = json.load(reply)
    connection.close()
    if reply.status >= 400:
        raise OSError(answer["error"]["message"])
    return answer

def carry_out(command):
    try:
        handler = COMMANDS[command["command"]]
        return {"status": "succeeded", "result": handler(command["payload"])}
    except Exception as error:
        return {"status": "failed", "error": repr(error)}

def serve():
    post("/v1/agents", {"name": "greeter", "version": "1.0.0", "commands": list(COMMANDS)})
    while True:
        post("/v1/agents/greeter/beat", {})
        for command in post("/v1/agents/greeter/commands/claim", {"wait_ms": 25_000})["commands"]:
            outcome = {"lease": command["lease"], **carry_out(command)}
            post(f"/v1/effects/{command['effect_id']}/result", outcome)

while True:
    try:
        serve()
    except (OSError, http.client.HTTPException) as error:  # the service is away, or the command is no longer ours
        print(f"trying again: {error}", flush=True)
        time.sleep(1)
