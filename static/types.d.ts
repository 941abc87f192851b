// What the board's REST API answers, and what the page's store holds. For the type checker only; no browser loads it.

/** A number; those that JSON lacks travel as text. */
export type Figure = number | "NaN" | "Infinity" | "-Infinity";

export type Status = "queued" | "running" | "paused" | "finished" | "stopped" | "diverged" | "failed" | "interrupted";

export interface Run {
  id: string;
  number: number;
  name: string;
  method: string;
  params: Record<string, any>;
  status: Status;
  /** The largest that it has logged. */
  step: number | null;
  total_steps: number | null;
  /** Of a script that says so: how many of them it has taken. */
  done_steps: number | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  last: Record<string, Figure>;
  /** Of each metric's finite values so far the smallest and the largest. */
  best: Record<string, [number, number]>;
  changes: { step: number; params: Record<string, any> }[];
  result: Record<string, any>;
  error: string | null;
  /** What is stored of it and cannot be read. */
  damage: string | null;
  /** Whether it has diverged, or its cost over all data is far above where it began. */
  exploded: boolean;
  why: string | null;
  missing: [number, number][];
  group: string | null;
  tags: string[];
  notes: string;
  /** Kept at the top of lists. */
  pinned: boolean;
  /** Figures and texts that a script has set to stand for it. */
  summary: Record<string, any>;
  /** Of a script: what may be changed, with bounds; null: all of its numbers, or a method's. */
  live: Record<string, [Figure | null, Figure | null]> | null;
  /** What a race varies, and the value that this run has of it; empty outside of races. */
  varied: Record<string, any>;
  colour: string;
  visdom: { env: string; url: string };
}

/** The JSON Schema of one parameter. */
export interface Schema {
  title?: string;
  description?: string;
  type?: string;
  default?: any;
  enum?: string[];
  anyOf?: Schema[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
}

export interface Method {
  name: string;
  title: string;
  description: string;
  /** A search tries candidates, of which the best counts; a descent updates its parameters each step. */
  kind: "search" | "descent";
  /** Whether the windows of a run show the computational graph of a sample. */
  graph: boolean;
  /** MathML. */
  formula: string;
  params_schema: { properties: Record<string, Schema> };
  /** The parameters that may change while it runs. */
  live: string[];
  source: string;
  /** The beginning of the line of the source that updates the weights. */
  update_line: string;
}

export interface Data {
  x: number[];
  y: number[];
}

/** What the windows show, for everyone. */
export interface View {
  axes: Record<string, "linear" | "log">;
  /** What runs along the curves: "step", "epoch", "time", or "metric:" and a metric's name. */
  x: string;
  smoothing: number;
  /** The range of steps that is shown; null: all. */
  detail: { from_step: number; to_step: number } | null;
  /** The id of the selected run; null: the latest runs are shown. */
  run: string | null;
  /** The step of the selected run that is shown; null: its last. */
  at: number | null;
  sample: number;
  /** The ids of runs that the shared windows do not show. */
  hidden: string[];
  /** The ids of runs that they show besides the latest. */
  added: string[];
  /** The ids of the only runs that they show, less the hidden ones; empty: the latest. */
  chosen: string[];
  /** Which metrics have a window, by the windows' titles. */
  metrics: { pinned: string[]; hidden: string[]; order: string[] };
  /** The ids of the runs that they show, oldest first: what the board makes of the three above. */
  shown: string[];
  /** The titles of the shared windows of metrics, in order, and how many other metrics the shown runs have logged. */
  windows: string[];
  more_metrics: number;
}

/** A run at the position that its windows show. */
export interface RunState {
  /** The run's id. */
  run: string;
  /** Of a descent, updates made; else a step. Null: no point yet. */
  position: number | null;
  /** Of the stored point after which it holds; -1 before the first update. */
  step: number | null;
  first: number;
  /** The last position so far. */
  updates: number;
  values: Record<string, Figure>;
  /** What `values.loss` belongs to; null where there is none. */
  loss_of: "sample" | "batch" | "update" | "sum" | "point" | null;
  next: Record<string, Figure> | null;
}

export interface Visdom {
  state: "up" | "starting" | "down";
  url: string;
  error: string | null;
}

export interface Place {
  run: string;
  name: string;
  value: any;
  status: Status;
  exploded: boolean;
  steps_to_1_percent: number | null;
  final_loss: Figure | null;
  /** In gradients of single samples; null for scripts. */
  evaluations_to_1_percent: number | null;
  /** The mean squared error over all data; null for scripts. */
  final_mse: Figure | null;
}

/** A range of learning rates, and what happens there; `to` is null where it has no end. */
export interface Zone {
  name: string;
  from: number;
  to: number | null;
}

export interface Stability {
  zones: Zone[];
  curvature: number;
  shallowest: number | null;
  lr_limit: number | null;
  lr_best: number;
  /** About where the rates that matter lie, where there is no limit, too; null: not known. */
  lr_scale: number | null;
  note: string;
}

export interface Lesson {
  title: string;
  text: string;
  question: string;
  setup: { method: string; params: Record<string, any>; data: Data | null; vary: Vary | null };
}

/** What differs between the runs of a race. */
export interface Vary {
  lr?: number[];
  method?: string[];
}

/** What the form asks for: the body of POST /api/runs, and with `vary` of POST /api/races. */
export interface RunRequest {
  method?: string;
  params: Record<string, any>;
  data: Record<string, any>;
  name?: string;
  vary?: Vary;
}

/** What the API refuses: the path names a part of the request, such as ["params", "lr"]. */
export interface Problem {
  path: (string | number)[];
  message: string;
  broken?: Broken;
}

/** The rule that a value breaks, and the numbers that the API's message speaks of. */
export interface Broken {
  rule: string;
  [name: string]: string | number;
}

/** What runs have that may be a column of the table; what most of them have comes first. */
export interface RunColumns {
  params: string[];
  metrics: { name: string; best: "min" | "max" }[];
  summary: string[];
  result: string[];
  groups: string[];
  tags: string[];
}

/** The table of runs, which may be open over the windows. */
export interface RunsTable {
  isOpen: boolean;
  search: string;
  /** What of the search cannot be understood. */
  error: string;
  /** A column by its key, such as "params.lr"; "": the newest run first. */
  sort: string;
  isDescending: boolean;
  /** How many runs come before those of this page. */
  offset: number;
  /** The runs of this page. */
  items: Run[];
  total: number;
  /** By their keys, in order. */
  columns: string[];
  /** Null before the board has told of it. */
  known: RunColumns | null;
  /** The selected runs, by their id, also those on other pages. */
  selected: Map<string, Run>;
  isComparing: boolean;
}

/** The page's store. */
export interface State {
  /** Whether the stream of events is open. */
  connected: boolean;
  /** Of this page's token: to do everything, or to look. */
  right: "owner" | "read";
  /** Null before the board has told of it, and while the connection is lost. */
  visdom: Visdom | null;
  methods: Method[];
  /** The method chosen in the form. */
  method: Method | null;
  /** The newest runs, without gaps, by their id. */
  runs: Map<string, Run>;
  /** How many runs the board has. */
  total: number;
  /** The shared view; null before the board has told of it. */
  view: View | null;
  /** In how many browsers the board is open; 0 before it has told. */
  viewers: number;
  /** The run that `view.run` names, which may be too old to be among `runs`. */
  selected: Run | null;
  table: RunsTable;
  /** The state of the selected run that the windows show, as told last; it may be that of the run selected before. */
  runState: RunState | null;
}

/** One field of the form. `read` returns undefined where the parameter is left to its default. */
export interface Field extends Complaints {
  name: string;
  element: HTMLElement;
  input: HTMLInputElement | HTMLSelectElement;
  read(): any;
  write(value: any): void;
  /** Of the pace: choose a value for a run that is short enough to be watched or is not, unless a person has. */
  suggest?(isShort: boolean): void;
  /** Of the learning rate: what theory says. */
  zones?: import("./stability_zones.js").StabilityZones;
}

/** How a field is marked as wrong, and as right again. */
export interface Complaints {
  refuse(message: string): void;
  accept(): void;
}

/** A control of the form before it has a label. */
export interface Control {
  input: HTMLInputElement | HTMLSelectElement;
  read(): any;
  write(value: any): void;
  /** What stands below the input. */
  extra?: HTMLElement[];
}
