/** The look of the page: petrol and amber on cool greys, dense. */
import { createTheme, type MantineColorsTuple } from '@mantine/core';

const petrol: MantineColorsTuple = [
  '#e8f6f6',
  '#d3e9ea',
  '#a5d2d5',
  '#74babf',
  '#4ea5ac',
  '#3698a0',
  '#26919a',
  '#157d87',
  '#056f79',
  '#005f69',
];
const slate: MantineColorsTuple = [
  '#f7f8fa',
  '#eef1f4',
  '#e2e6eb',
  '#d2d8df',
  '#b6bfc9',
  '#8e99a6',
  '#6b7683',
  '#4f5a66',
  '#343d47',
  '#1f262e',
];
const night: MantineColorsTuple = [
  '#d3dae1',
  '#a9b4bf',
  '#8593a0',
  '#66737f',
  '#3c4753',
  '#2b343e',
  '#1f272f',
  '#161d24',
  '#10161c',
  '#0a0f14',
];

/** Mantine's theme for Gantry. */
export const theme = createTheme({
  primaryColor: 'petrol',
  primaryShade: { light: 8, dark: 6 },
  colors: { petrol, gray: slate, dark: night },
  fontFamily: 'Inter, "Segoe UI", system-ui, -apple-system, Roboto, "DejaVu Sans", sans-serif',
  fontFamilyMonospace:
    '"JetBrains Mono", "Cascadia Mono", ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.125rem' },
  defaultRadius: 'md',
  headings: {
    fontWeight: '650',
    sizes: { h1: { fontSize: '1.25rem', lineHeight: '1.4' }, h2: { fontSize: '1rem' } },
  },
  cursorType: 'pointer',
  components: {
    Table: {
      defaultProps: { fz: 'md', verticalSpacing: 8, horizontalSpacing: 'md', highlightOnHover: true },
    },
    Anchor: { defaultProps: { inherit: true } },
    Button: { defaultProps: { size: 'sm' } },
    Badge: { defaultProps: { radius: 'sm' } },
    Tooltip: { defaultProps: { openDelay: 250, withArrow: true } },
    Modal: {
      defaultProps: { centered: true, radius: 'lg', overlayProps: { backgroundOpacity: 0.45, blur: 2 } },
    },
  },
});
