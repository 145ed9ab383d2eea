/** The product's mark. */
export const Mark = ({ size = 26 }: { size?: number }) => (
  <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="7" fill="#0e5a61" />
    <path
      d="M5 9h22M8 9v16M24 9v16M16 9v6"
      stroke="#fff"
      strokeWidth="2.4"
      strokeLinecap="round"
      fill="none"
    />
    <rect x="12" y="15" width="8" height="6" rx="1" fill="#f2a33a" />
  </svg>
);
