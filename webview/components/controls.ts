import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-icon/index.js";
import "@vscode-elements/elements/dist/vscode-textfield/index.js";
import { html, nothing, type TemplateResult } from "lit";

/** All that the app knows of the library of controls; another library would be another version of this file. */

interface Button {
  readonly label: string;
  readonly icon?: string;
  readonly isSecondary?: boolean;
  readonly isDisabled?: boolean;
  /** Said by a screen reader instead of the label, where the label alone does not say what it is about. */
  readonly spoken?: string;
  readonly name: string;
  onPress(): void;
}

export function button({
  label,
  icon,
  isSecondary,
  isDisabled,
  spoken,
  name,
  onPress,
}: Button): TemplateResult {
  return html`<vscode-button
    ?secondary=${isSecondary === true}
    ?disabled=${isDisabled === true}
    icon=${icon ?? nothing}
    data-name=${name}
    aria-label=${spoken ?? label}
    @click=${onPress}
    >${label}</vscode-button
  >`;
}

export function icon(name: string): TemplateResult {
  return html`<vscode-icon name=${name} aria-hidden="true"></vscode-icon>`;
}

interface TextField {
  readonly label: string;
  readonly value: string;
  readonly name: string;
  onInput(value: string): void;
  onEnter(): void;
}

export function textField({ label, value, name, onInput, onEnter }: TextField): TemplateResult {
  const read = (event: Event) => onInput((event.target as HTMLInputElement).value);
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.isComposing) onEnter();
  };
  return html`<vscode-textfield
    label=${label}
    placeholder=${label}
    data-name=${name}
    maxlength="2000"
    .value=${value}
    @input=${read}
    @keydown=${press}
  ></vscode-textfield>`;
}
