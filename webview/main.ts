import { startApp } from "./app.ts";
import { connectHost } from "./host.ts";

const root = document.getElementById("app");
if (root !== null) startApp(root, connectHost(), document.body.dataset.mode === "panel" ? "panel" : "inbox");
