/** The JSON of the service and the types that modules share. Every amount is an integer in minor units. */

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

/** The processor's fee on a payment: `basis_points` of the total, plus `fixed` in minor units. */
type FeeRate = { basis_points: number; fixed: number };

type CurrencyDefinition = {
  currency: string;
  /** The number of decimals in ISO 4217. */
  exponent: number;
  /** The smallest chargeable amount; every amount is a multiple of it. */
  step: number;
  frequencies: PledgeOption[];
  /** What a preset pays for, by its amount. Without it in the answer of an older service. */
  impact?: Partial<Record<Frequency, Record<number, string>>>;
  /** Present if readers may cover the fee. */
  cover_fees?: FeeRate | null;
};

/** A currency with its parser and formatter. */
type CurrencyOption = CurrencyDefinition & { money: Money };

/** The built-in texts, those that a campaign with several currencies or coverable fees adds, and those of pages. */
type Texts = typeof import("../../schemas/texts/widget.en.json") &
  typeof import("../../schemas/texts/offers.en.json") &
  typeof import("../../schemas/texts/pages.en.json");

/** The key of a text. One with a number goes without its plural form: `try_again_in` for `try_again_in_other`. */
type TextKey = keyof Texts | (keyof Texts extends infer Key ? (Key extends `${infer Base}_other` ? Base : never) : never);

/** A reminder in `months` months, or every `months` months if `repeat` is true. `button` labels the button that sets it. */
type ReminderOption = { months: number; repeat: boolean; label: string; button: string };

/** The newsroom's own look; null where it is Mainstay's. The last three are shades of the accent. */
type Brand = {
  accent: string | null;
  on_accent: string | null;
  heading_font: "serif" | "sans" | "system" | null;
  accent_hover: string | null;
  accent_on_light: string | null;
  accent_on_dark: string | null;
};

/** An option, or with `picksDay` the day that the reader picked: YYYY-MM-DD, or "" while none is. */
type ReminderChoice = ReminderOption & { picksDay?: boolean; day?: string };

type Campaign = CurrencyDefinition & {
  slug: string;
  name: string;
  /** A closed campaign says so in its heading and message, and takes no support. */
  closed?: boolean;
  heading: string;
  message: string[];
  /** In the order of the list. */
  other_currencies?: CurrencyDefinition[];
  lang: string;
  default_frequency: Frequency;
  /** Without it in the answer of an older service. */
  quiet_days?: number;
  /** Without `pick_date` in the answer of an older service. */
  reminder: { enabled: boolean; choices: number[]; options: ReminderOption[]; pick_date?: boolean };
  privacy_url?: string | null;
  brand?: Brand | null;
  /** The page on which supporters see and change what they give. */
  manage_url?: string;
  texts?: Partial<Texts>;
};

type ApiResponse = {
  /** The HTTP status, or 0 if there is no valid response. */
  status: number;
  /** From Retry-After; 0 if the service sent none. */
  retryAfterSeconds: number;
  /** The decoded JSON: the resource, or an RFC 9457 problem. */
  body: any;
};

/**
 * The text of an error at a field, and the values of its placeholders. `suggestion` is what the reader may have meant to
 * type.
 */
type FieldError = {
  minor?: undefined;
  errorKey: TextKey;
  values?: Record<string, string | number>;
  suggestion?: string;
};

/** Returns a text with its placeholders filled. */
type Translate = (key: TextKey, values?: Record<string, string | number>) => string;

type Money = import("./money.js").Money;

/** The reader's choice. The views share it, so that going back keeps it. */
type Choice = {
  currencyOption: CurrencyOption;
  frequency: Frequency;
  preset: number;
  /** The amount as the reader typed it, or an empty string while a preset is selected. */
  customAmount: string;
  coversFees: boolean;
  email: string;
} & ReminderChoice;

/** The data and actions of a view. */
type ViewContext = {
  campaign: Campaign;
  currencies: CurrencyOption[];
  choice: Choice;
  lang: string;
  offers: Partial<OffersPart>;
  text: Translate;
  /** Restores the view's own state when the reader corrects an invalid field. */
  setState: (state: State) => void;
  submitPledge: () => void;
  /** Returns the JSON fields that pledges and reminders share. */
  commonFields: () => CommonFields;
  showFieldError: (error: FieldError) => void;
  /** @param moveFocus false leaves the focus where it is */
  showPledge: (moveFocus?: unknown) => void;
  /** Dispatches an event with the reader's choice. Returns false if the page prevented what follows. */
  report: (name: "frequency" | "amount" | "continue") => boolean;
  showReminder: () => void;
  /** What has changed since the reader made the choice. */
  notice?: string;
  preloadPart: (name: keyof typeof PART_HASHES) => void;
  /** @param link another way to what the reader wanted */
  showError: (response: ApiResponse, goBack: () => void, retry: () => void, link?: Node) => void;
};

/** The part of a box with several currencies or with fees that readers may cover. */
type OffersPart = {
  /**
   * @param onchange takes a message for the reader if the new currency lacks the chosen frequency and another one
   *   replaces it, else an empty string
   * @returns an empty string if there is only one currency
   */
  currencyField: (
    context: Pick<ViewContext, "choice" | "currencies" | "lang" | "text">,
    onchange: (message: string) => void,
  ) => Node | string;
  feesCheckbox: (
    context: Pick<ViewContext, "choice" | "text"> & { host?: HTMLElement },
    onchange: () => void,
  ) => {
    element: Node;
    /** Takes the chosen amount, or 0 while there is none. Returns the fees that the reader adds. Both in minor units. */
    updateFees: (minor: number) => number;
  };
};

/** What the support page says about its form. */
type SupportPageOffer = CurrencyDefinition & { texts: Partial<Texts> };

type CommonFields = {
  campaign: string;
  frequency: Frequency;
  amount: number | undefined;
  currency: string;
  lang: string;
};

/**
 * What the box gives to a part that it loads. The two may come from different builds, so a name that a part uses keeps
 * its meaning for as long as the part has the same number in its URL.
 */
type PartContext = Pick<
  ViewContext,
  "campaign" | "choice" | "commonFields" | "lang" | "notice" | "setState" | "showError" | "showFieldError" | "showPledge" | "text"
> &
  Pick<import("./frame.js").Frame, "isState" | "setBusy" | "showView"> & {
    emit: Emit;
    sendRequest: SendRequest;
    /** A v1.js that gets all texts with its campaign lacks it. */
    watchView?: import("./frame.js").Frame["watchView"];
    /**
     * Shows today's offer if it is why the service refused a request. A v1.js from before checkout-1.js lacks it.
     * @param isReminder whether the reader was about to set a reminder
     * @returns whether something is shown; if not, the refusal has another reason
     */
    showChangedOffer?: (response: ApiResponse, isReminder?: boolean) => Promise<boolean | undefined>;
  };

/** The response to the request for a campaign, and the part for its currencies and fees if the response needs one. */
type LoadedCampaign = {
  response: ApiResponse;
  offers: Partial<OffersPart> | false | undefined;
  /** A language tag. */
  askedLang: string;
};

/** What the checkout gets, by the same rule. */
type CheckoutContext = ViewContext &
  PartContext &
  Pick<import("./frame.js").Frame, "watchView"> & {
    host: HTMLElement;
    fetchCampaign: (cache?: RequestCache) => Promise<LoadedCampaign>;
    /** Returns the context of a campaign that was loaded anew, with the initial choice. Nothing is shown yet. */
    createContext: (loaded: LoadedCampaign) => CheckoutContext;
  };

/** The checkout of one box. */
type Checkout = {
  /** Sends the choice, or shows what is wrong with it. */
  submitPledge: () => Promise<void>;
  showChangedOffer: (response: ApiResponse, isReminder?: boolean) => Promise<boolean>;
  /** Makes the next request another pledge, even if the choice is the same. */
  resetKey: () => void;
};

/** The hash of each part, which the build sets. */
declare const PART_HASHES: Record<"checkout" | "offers" | "placement" | "reminder", string>;

/** The public values of `data-state`. */
type State =
  | "loading"
  | "form"
  | "invalid"
  | "submitting"
  | "error"
  | "reminder-form"
  | "reminder-set"
  | "dismissed";

/** Sends a GET, or a POST if there is a body. */
type SendRequest = (path: string, body?: string, key?: string, cache?: RequestCache) => Promise<ApiResponse>;

/** Dispatches a `support-box:*` event for the newsroom's analytics. It never holds personal data. */
type Emit = (name: EventName, detail?: object, pledge?: string) => boolean;

type EventName = "view" | "frequency" | "amount" | "continue" | "error" | "pledged" | "reminded" | "dismissed";

interface Document {
  /** Whether the browser has loaded the page ahead. Not every browser has it. */
  prerendering?: boolean;
}

interface Window {
  /** What the page may use of the script, beside the element itself. */
  SupportBox?: {
    past?: Event[];
    /** Calls a handler for each event of this name, also for earlier ones. Returns a function that stops that. */
    on: (name: string, handler: (event: any) => void) => () => void;
  };
}

/** What the part for placement gets. `dismiss` closes the box, as its button does. */
type PlacementContext = { host: HTMLElement; dismiss: () => void; sendRequest: SendRequest };

type Placement = {
  /** Whether the box may be shown now: no reader closed it lately, and a dialog does not come too early. */
  isDue: () => Promise<boolean | void>;
  /** Whether the box stands above the page and not in its flow. */
  isOverlay: () => boolean;
  /** Returns the campaign and the first choice as the attributes of the box want them. */
  apply: (
    campaign: Campaign,
    currencies: CurrencyOption[],
    lang: string,
  ) => { campaign: Campaign; choice: Pick<Choice, "currencyOption" | "customAmount" | "frequency" | "preset"> };
  /** Puts the box where it belongs. A banner begins small, with a button of this label, unless it is opened. */
  show: (label: string, isOpen?: boolean) => void;
  /** Puts the box away. Returns whether the focus must move to what is left of it. */
  hide: () => boolean;
  /** Notes an event, if the box may remember something. `pledge` is the id of a donation. */
  remember: (name: EventName, detail: any, campaign: Campaign, pledge?: string) => void;
  undo: () => void;
  forget: () => void;
};

/** What a box remembers. Times are in milliseconds since the epoch. */
type Memory = { quietUntil?: number; pledge?: string; lastAt?: number; articles?: number; views?: number };

type View = {
  heading?: string;
  /** Screen readers announce it. */
  message?: string;
  /** An empty string stands for no node. */
  nodes: (Node | string)[];
  /** Shows the error at the field and focuses it. */
  showFieldError?: (message: string) => void;
  setBusy?: (label: string) => void;
};
