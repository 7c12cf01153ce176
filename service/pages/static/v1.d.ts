/**
 * Types of the support box, for pages written in TypeScript.
 *
 * Save this file beside your own, or copy it with your build. It describes /widget/v1.js and its pinned copies.
 */

type SupportBoxFrequency = "once" | "monthly" | "annual";

/** What every event says. None of it is personal. */
interface SupportBoxDetail {
  campaign: string;
  variant?: string;
}

interface SupportBoxChoiceDetail extends SupportBoxDetail {
  frequency: SupportBoxFrequency;
  /** In minor units: 700 is $7. Absent while the reader's amount is wrong. */
  amount?: number;
  /** An ISO 4217 code. */
  currency: string;
}

interface SupportBoxPledgedDetail extends SupportBoxDetail {
  frequency: SupportBoxFrequency;
  /** In minor units, without the fees. */
  amount: number;
  currency: string;
  /** What the reader adds to cover fees, in minor units; 0 or absent if nothing. */
  fees?: number;
}

interface SupportBoxRemindedDetail extends SupportBoxDetail {
  /** After how many months; absent if the reader picked a day. */
  months?: number;
  /** Whether the reminder recurs until the reader cancels it. */
  repeat?: true;
  /** The day that the reader picked, YYYY-MM-DD. */
  due_on?: string;
}

interface SupportBoxErrorDetail extends SupportBoxDetail {
  /** The code of the service's problem or of the error at the field, else "unexpected" or "unreachable". */
  code: string;
}

interface SupportBoxEventDetails {
  view: SupportBoxDetail;
  frequency: SupportBoxChoiceDetail;
  amount: SupportBoxChoiceDetail;
  /** `preventDefault()` stops the checkout. */
  continue: SupportBoxChoiceDetail;
  error: SupportBoxErrorDetail;
  pledged: SupportBoxPledgedDetail;
  reminded: SupportBoxRemindedDetail;
  dismissed: SupportBoxDetail;
}

type SupportBoxEventMap = {
  [Name in keyof SupportBoxEventDetails as `support-box:${Name}`]: CustomEvent<SupportBoxEventDetails[Name]>;
};

/** The attributes of `<support-box>`, as HTML has them. */
interface SupportBoxAttributes {
  campaign?: string;
  lang?: string;
  theme?: "light" | "dark";
  frequency?: SupportBoxFrequency;
  amount?: number | string;
  currency?: string;
  reminder?: "off";
  compact?: boolean | "";
  placement?: "inline" | "banner" | "dialog";
  "after-views"?: number | string;
  storage?: "local";
  "quiet-days"?: number | string;
  "heading-level"?: 1 | 2 | 3 | 4 | 5 | 6 | "1" | "2" | "3" | "4" | "5" | "6";
  variant?: string;
  "return-url"?: string;
  api?: string;
}

/** The element `<support-box>`. */
interface SupportBoxElement extends HTMLElement {
  /** Shows the box and moves the focus to it, also if the reader closed it. */
  open(): void;
  /** Forgets the reader's choice and what is stored, and starts again. */
  reset(): void;
  addEventListener<Type extends keyof SupportBoxEventMap>(
    type: Type,
    listener: (this: SupportBoxElement, event: SupportBoxEventMap[Type]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener<Type extends keyof HTMLElementEventMap>(
    type: Type,
    listener: (this: SupportBoxElement, event: HTMLElementEventMap[Type]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

interface HTMLElementTagNameMap {
  "support-box": SupportBoxElement;
}

interface DocumentEventMap extends SupportBoxEventMap {}

interface Window {
  /** Listens to every box of the page, for tag managers. It is there once the script has run. */
  SupportBox?: {
    /** Calls the handler also for earlier events. Returns a function that stops it. */
    on<Name extends keyof SupportBoxEventDetails>(
      name: Name,
      handler: (event: CustomEvent<SupportBoxEventDetails[Name]>) => unknown,
    ): () => void;
  };
}
