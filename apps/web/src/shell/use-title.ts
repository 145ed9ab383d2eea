/** The document's title. */
import { useEffect } from 'react';

/** Sets the title while the component is there. */
export const useTitle = (title: string): void => {
  useEffect(() => {
    document.title = `${title} · Gantry`;
  }, [title]);
};
