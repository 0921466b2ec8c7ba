#!/usr/bin/env bash
# Checks the dashboards without a Grafana: they are what the generator writes, and their JSON has the
# types of Grafana's own schema, panel options included.
#
# The schema writes fixed values as TypeScript enums, to which JSON texts cannot be assigned. `Plain`
# turns each enum into its texts; then an unknown key or a misspelt value is an error of the compiler.
set -euo pipefail
cd "$(dirname "$0")/../.."

SCHEMA=13.2.3
TYPESCRIPT=5.9.3

python3 deploy/grafana/generate.py --check

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
npm install --prefix "$directory" --silent --no-audit --no-fund \
  "@grafana/schema@$SCHEMA" "typescript@$TYPESCRIPT"

python3 - deploy/grafana/dashboards "$directory/dashboards.ts" <<'PYTHON'
import json, pathlib, sys

KINDS = {
    "stat": "Stat", "timeseries": "TimeSeries", "state-timeline": "StateTimeline",
    "table": "Table", "barchart": "BarChart",
}
FIELDS = {"timeseries", "state-timeline", "table", "barchart"}
lines = ['import type { AnnotationQuery, Dashboard, Panel, RowPanel } from "@grafana/schema";']
for kind, name in KINDS.items():
    folder = kind.replace("-", "")
    path = f"@grafana/schema/dist/esm/raw/composable/{folder}/panelcfg/x/{name}PanelCfg_types.gen"
    lines.append(f'import type * as {name} from "{path}";')
lines.append("""
type Plain<T> = T extends string ? `${T}`
  : T extends number ? (`${T}` extends `${infer N extends number}` ? N : never)
  : T extends (infer E)[] ? Plain<E>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;
// Grafana reads the texts of a mark from keys that its schema does not list.
type Mark = Plain<AnnotationQuery> & {
  titleFormat?: string; textFormat?: string; target?: { refId: string; expr: string; interval: string };
};
type Model = Omit<Plain<Dashboard>, "panels" | "annotations"> & { annotations: { list: Mark[] } };
type Typed<Kind, Options, Custom> = Omit<Plain<Panel>, "type" | "options" | "fieldConfig"> & {
  type: Kind;
  options: Plain<Options>;
  fieldConfig: Omit<NonNullable<Plain<Panel>["fieldConfig"]>, "defaults"> & {
    defaults: Omit<NonNullable<Plain<Panel>["fieldConfig"]>["defaults"], "custom"> & { custom?: Plain<Custom> };
  };
};""")
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    model = json.loads(file.read_text())
    for number, panel in enumerate(model.pop("panels")):
        kind = panel["type"]
        if kind == "row":
            type_name = "Plain<RowPanel>"
        else:
            name = KINDS[kind]
            custom = f"{name}.FieldConfig" if kind in FIELDS else "{}"
            type_name = f'Typed<"{kind}", {name}.Options, {custom}>'
        lines.append(f"export const {file.stem}{number}: {type_name} = {json.dumps(panel)};")
    lines.append(f"export const {file.stem}: Model = {json.dumps(model)};")
pathlib.Path(sys.argv[2]).write_text("\n".join(lines) + "\n")
PYTHON

"$directory/node_modules/.bin/tsc" --noEmit --strict --skipLibCheck --target es2022 \
  --module esnext --moduleResolution bundler "$directory/dashboards.ts"
