/** What the wire contract says, as types. Every amount is an integer in minor units. */

declare module "*.css" {
  const css: string;
  export default css;
}

type Frequency = "once" | "monthly" | "annual";

type PledgeOption = {
  frequency: Frequency;
  presets: number[];
  default: number;
  minimum: number;
  maximum: number;
};

/** What the processor takes of a payment: hundredths of a percent, and a fixed sum in minor units. */
type FeeRate = { basis_points: number; fixed: number };

type CurrencyDefinition = {
  currency: string;
  /** How many decimals the currency has by ISO 4217, which the service counts by. */
  exponent: number;
  /** What can be charged is a whole multiple of this many minor units. */
  step: number;
  frequencies: PledgeOption[];
  /** Given where readers may cover it. */
  cover_fees?: FeeRate | null;
};

/** One currency's terms, with what reads and writes amounts in it. */
type CurrencyOption = CurrencyDefinition & { money: Money };

/** What is built in, and what the campaign brings when it has several currencies or fees to cover. */
type Texts = typeof import("../../schemas/texts/widget.en.json") & typeof import("../../schemas/texts/offers.en.json");

/** A number of months from now, whether the reminder comes again after as many, and the words for it. */
type ReminderOption = { months: number; repeat: boolean; label: string };

type Campaign = CurrencyDefinition & {
  slug: string;
  heading: string;
  message: string[];
  /** The currencies besides the first, as they are listed. */
  other_currencies?: CurrencyDefinition[];
  lang: string;
  default_frequency: Frequency;
  reminder: { enabled: boolean; choices: number[]; options: ReminderOption[] };
  privacy_url?: string | null;
  texts?: Partial<Texts>;
};

/** An answer of the service, or a status of 0 when none came. */
type ApiResponse = {
  status: number;
  /** The seconds that the service asks us to wait before trying again. */
  retryAfterSeconds: number;
  /** The decoded body: what was asked for, or an RFC 9457 problem. */
  body: any;
};

/** Why an amount was not taken: the key of the text that explains it, and what fills its placeholders. */
type FieldError = { minor?: undefined; errorKey: keyof Texts; values?: Record<string, string | number> };

type ParsedAmount = { minor: number; errorKey?: undefined } | FieldError;

type Say = (key: keyof Texts, values?: Record<string, string | number>) => string;

type Money = import("./money.js").Money;

/** What the reader has chosen so far; it outlives every view, so going back loses nothing. */
type Choice = {
  currencyOption: CurrencyOption;
  frequency: Frequency;
  preset: number;
  /** The amount as the reader wrote it, or an empty string while a preset stands. */
  customAmount: string;
  coversFees: boolean;
  email: string;
} & ReminderOption;

/** What a view may know and do. */
type Desk = {
  campaign: Campaign;
  currencies: CurrencyOption[];
  choice: Choice;
  lang: string;
  text: Say;
  /** The reader is putting right what was refused, so the view is in its own state again. */
  setState: (state: State) => void;
  pledge: () => void;
  /** Asks for the reminder, if the browser takes the address for one. */
  remind: (addressIsWhole: boolean) => void;
  showPledge: () => void;
  showReminder: () => void;
  /** Takes the day of the reminder, YYYY-MM-DD. */
  showReminderCreated: (dueOn: string) => void;
  showError: (answer: ApiResponse, goBack: () => void, retry: () => void) => void;
};

/** Every state the box can be in; `data-state` names it. */
type State =
  | "loading"
  | "form"
  | "invalid"
  | "submitting"
  | "error"
  | "reminder-form"
  | "reminder-set"
  | "dismissed";

/** Asks the service; with a body it posts. */
type SendRequest = (path: string, body?: string, key?: string) => Promise<ApiResponse>;

/** Tells the newsroom's own analytics what happened, never who did it. */
type Tell = (name: "pledged" | "reminded" | "dismissed", detail?: object) => void;

type View = {
  heading?: string;
  /** What the state has to say; it is announced. */
  message?: string;
  /** An empty string stands for nothing. */
  nodes: (Node | string)[];
  /** Shows the message at the field and moves the focus there. */
  showFieldError?: (message: string) => void;
  /** Shows that the request is on its way. */
  setBusy?: (words: string) => void;
};
